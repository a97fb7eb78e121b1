; v5: float32[64] = mul(v1, v4)

declare <16 x float> @llvm.masked.load.v16f32.p0(ptr, i32, <16 x i1>, <16 x float>)
declare void @llvm.masked.store.v16f32.p0(<16 x float>, ptr, i32, <16 x i1>)

define void @rows(ptr %args, i64 %begin, i64 %end, i64 %part) {
entry:
  %a0 = getelementptr i64, ptr %args, i64 0
  %p0 = load ptr, ptr %a0
  %a1 = getelementptr i64, ptr %args, i64 1
  %p1 = load ptr, ptr %a1
  %a2 = getelementptr i64, ptr %args, i64 2
  %flag = load ptr, ptr %a2
  %j4 = alloca i64, align 64
  %rest30 = alloca i64, align 64
  ; pass 1 of 1
  %v1 = sub i64 %end, %begin
  %v2 = and i64 %v1, -64
  %v3 = add i64 %begin, %v2
  store i64 %begin, ptr %j4
  br label %j.head5
j.head5:
  %j8 = load i64, ptr %j4
  %v9 = icmp slt i64 %j8, %v3
  br i1 %v9, label %j.body6, label %j.tail7
j.body6:
  %v10 = add nuw nsw i64 %j8, 16
  %v11 = add nuw nsw i64 %j8, 32
  %v12 = add nuw nsw i64 %j8, 48
  %v13 = getelementptr float, ptr %p0, i64 %j8
  %v14 = load <16 x float>, ptr %v13, align 4
  %v15 = fmul <16 x float> %v14, splat (float 0x4000000000000000)
  %v16 = getelementptr float, ptr %p1, i64 %j8
  store <16 x float> %v15, ptr %v16, align 4
  %v17 = getelementptr float, ptr %p0, i64 %v10
  %v18 = load <16 x float>, ptr %v17, align 4
  %v19 = fmul <16 x float> %v18, splat (float 0x4000000000000000)
  %v20 = getelementptr float, ptr %p1, i64 %v10
  store <16 x float> %v19, ptr %v20, align 4
  %v21 = getelementptr float, ptr %p0, i64 %v11
  %v22 = load <16 x float>, ptr %v21, align 4
  %v23 = fmul <16 x float> %v22, splat (float 0x4000000000000000)
  %v24 = getelementptr float, ptr %p1, i64 %v11
  store <16 x float> %v23, ptr %v24, align 4
  %v25 = getelementptr float, ptr %p0, i64 %v12
  %v26 = load <16 x float>, ptr %v25, align 4
  %v27 = fmul <16 x float> %v26, splat (float 0x4000000000000000)
  %v28 = getelementptr float, ptr %p1, i64 %v12
  store <16 x float> %v27, ptr %v28, align 4
  %v29 = add nsw i64 %j8, 64
  store i64 %v29, ptr %j4
  br label %j.head5
j.tail7:
  store i64 %v3, ptr %rest30
  br label %rest.head31
rest.head31:
  %rest34 = load i64, ptr %rest30
  %v35 = icmp slt i64 %rest34, %end
  br i1 %v35, label %rest.body32, label %rest.tail33
rest.body32:
  %v36 = insertelement <16 x i64> poison, i64 %rest34, i64 0
  %v37 = shufflevector <16 x i64> %v36, <16 x i64> poison, <16 x i32> zeroinitializer
  %v38 = add <16 x i64> %v37, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v39 = insertelement <16 x i64> poison, i64 %end, i64 0
  %v40 = shufflevector <16 x i64> %v39, <16 x i64> poison, <16 x i32> zeroinitializer
  %v41 = icmp slt <16 x i64> %v38, %v40
  %v42 = getelementptr float, ptr %p0, i64 %rest34
  %v43 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v42, i32 4, <16 x i1> %v41, <16 x float> zeroinitializer)
  %v44 = fmul <16 x float> %v43, splat (float 0x4000000000000000)
  %v45 = getelementptr float, ptr %p1, i64 %rest34
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v44, ptr %v45, i32 4, <16 x i1> %v41)
  %v46 = add nsw i64 %rest34, 16
  store i64 %v46, ptr %rest30
  br label %rest.head31
rest.tail33:
  ret void
}

