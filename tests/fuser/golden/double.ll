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
  %rest20 = alloca i64, align 64
  ; pass 1 of 1
  %v1 = sub i64 %end, %begin
  %v2 = and i64 %v1, -32
  %v3 = add i64 %begin, %v2
  store i64 %begin, ptr %j4
  br label %j.head5
j.head5:
  %j8 = load i64, ptr %j4
  %v9 = icmp slt i64 %j8, %v3
  br i1 %v9, label %j.body6, label %j.tail7
j.body6:
  %v10 = add nuw nsw i64 %j8, 16
  %v11 = getelementptr float, ptr %p0, i64 %j8
  %v12 = load <16 x float>, ptr %v11, align 4
  %v13 = fmul <16 x float> %v12, splat (float 0x4000000000000000)
  %v14 = getelementptr float, ptr %p1, i64 %j8
  store <16 x float> %v13, ptr %v14, align 4
  %v15 = getelementptr float, ptr %p0, i64 %v10
  %v16 = load <16 x float>, ptr %v15, align 4
  %v17 = fmul <16 x float> %v16, splat (float 0x4000000000000000)
  %v18 = getelementptr float, ptr %p1, i64 %v10
  store <16 x float> %v17, ptr %v18, align 4
  %v19 = add nsw i64 %j8, 32
  store i64 %v19, ptr %j4
  br label %j.head5
j.tail7:
  store i64 %v3, ptr %rest20
  br label %rest.head21
rest.head21:
  %rest24 = load i64, ptr %rest20
  %v25 = icmp slt i64 %rest24, %end
  br i1 %v25, label %rest.body22, label %rest.tail23
rest.body22:
  %v26 = insertelement <16 x i64> poison, i64 %rest24, i64 0
  %v27 = shufflevector <16 x i64> %v26, <16 x i64> poison, <16 x i32> zeroinitializer
  %v28 = add <16 x i64> %v27, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v29 = insertelement <16 x i64> poison, i64 %end, i64 0
  %v30 = shufflevector <16 x i64> %v29, <16 x i64> poison, <16 x i32> zeroinitializer
  %v31 = icmp slt <16 x i64> %v28, %v30
  %v32 = getelementptr float, ptr %p0, i64 %rest24
  %v33 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v32, i32 4, <16 x i1> %v31, <16 x float> zeroinitializer)
  %v34 = fmul <16 x float> %v33, splat (float 0x4000000000000000)
  %v35 = getelementptr float, ptr %p1, i64 %rest24
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v34, ptr %v35, i32 4, <16 x i1> %v31)
  %v36 = add nsw i64 %rest24, 16
  store i64 %v36, ptr %rest20
  br label %rest.head21
rest.tail23:
  ret void
}

