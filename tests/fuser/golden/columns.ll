; v2: float32[24] = reduce(v1, how=sum, dims=(0,))

declare <16 x float> @llvm.masked.load.v16f32.p0(ptr, i32, <16 x i1>, <16 x float>)
declare void @llvm.masked.store.v16f32.p0(<16 x float>, ptr, i32, <16 x i1>)

define void @rows(ptr %args, i64 %begin, i64 %end, i64 %part) {
entry:
  %a0 = getelementptr i64, ptr %args, i64 0
  %p0 = load ptr, ptr %a0
  %a1 = getelementptr i64, ptr %args, i64 1
  %p1 = load ptr, ptr %a1
  %a2 = getelementptr i64, ptr %args, i64 2
  %t0 = load ptr, ptr %a2
  %a3 = getelementptr i64, ptr %args, i64 3
  %flag = load ptr, ptr %a3
  %z1 = alloca i64, align 64
  %row15 = alloca i64, align 64
  %j24 = alloca i64, align 64
  %rest40 = alloca i64, align 64
  store i64 0, ptr %z1
  br label %z.head2
z.head2:
  %z5 = load i64, ptr %z1
  %v6 = icmp slt i64 %z5, 24
  br i1 %v6, label %z.body3, label %z.tail4
z.body3:
  %v7 = insertelement <16 x i64> poison, i64 %z5, i64 0
  %v8 = shufflevector <16 x i64> %v7, <16 x i64> poison, <16 x i32> zeroinitializer
  %v9 = add <16 x i64> %v8, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v10 = icmp slt <16 x i64> %v9, splat (i64 24)
  %v11 = mul nsw i64 %part, 24
  %v12 = add nsw i64 %v11, %z5
  %v13 = getelementptr float, ptr %t0, i64 %v12
  call void @llvm.masked.store.v16f32.p0(<16 x float> zeroinitializer, ptr %v13, i32 4, <16 x i1> %v10)
  %v14 = add nsw i64 %z5, 16
  store i64 %v14, ptr %z1
  br label %z.head2
z.tail4:
  store i64 %begin, ptr %row15
  br label %row.head16
row.head16:
  %row19 = load i64, ptr %row15
  %v20 = icmp slt i64 %row19, %end
  br i1 %v20, label %row.body17, label %row.tail18
row.body17:
  ; pass 1 of 1
  %v21 = sub i64 24, 0
  %v22 = and i64 %v21, -16
  %v23 = add i64 0, %v22
  store i64 0, ptr %j24
  br label %j.head25
j.head25:
  %j28 = load i64, ptr %j24
  %v29 = icmp slt i64 %j28, %v23
  br i1 %v29, label %j.body26, label %j.tail27
j.body26:
  %v30 = mul nsw i64 %row19, 24
  %v31 = add nsw i64 %v30, %j28
  %v32 = getelementptr float, ptr %p0, i64 %v31
  %v33 = load <16 x float>, ptr %v32, align 4
  %v34 = mul nsw i64 %part, 24
  %v35 = add nsw i64 %v34, %j28
  %v36 = getelementptr float, ptr %t0, i64 %v35
  %v37 = load <16 x float>, ptr %v36, align 4
  %v38 = fadd <16 x float> %v37, %v33
  store <16 x float> %v38, ptr %v36, align 4
  %v39 = add nsw i64 %j28, 16
  store i64 %v39, ptr %j24
  br label %j.head25
j.tail27:
  store i64 %v23, ptr %rest40
  br label %rest.head41
rest.head41:
  %rest44 = load i64, ptr %rest40
  %v45 = icmp slt i64 %rest44, 24
  br i1 %v45, label %rest.body42, label %rest.tail43
rest.body42:
  %v46 = insertelement <16 x i64> poison, i64 %rest44, i64 0
  %v47 = shufflevector <16 x i64> %v46, <16 x i64> poison, <16 x i32> zeroinitializer
  %v48 = add <16 x i64> %v47, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v49 = icmp slt <16 x i64> %v48, splat (i64 24)
  %v50 = mul nsw i64 %row19, 24
  %v51 = add nsw i64 %v50, %rest44
  %v52 = getelementptr float, ptr %p0, i64 %v51
  %v53 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v52, i32 4, <16 x i1> %v49, <16 x float> zeroinitializer)
  %v54 = mul nsw i64 %part, 24
  %v55 = add nsw i64 %v54, %rest44
  %v56 = getelementptr float, ptr %t0, i64 %v55
  %v57 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v56, i32 4, <16 x i1> %v49, <16 x float> zeroinitializer)
  %v58 = fadd <16 x float> %v57, %v53
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v58, ptr %v56, i32 4, <16 x i1> %v49)
  %v59 = add nsw i64 %rest44, 16
  store i64 %v59, ptr %rest40
  br label %rest.head41
rest.tail43:
  %v60 = add nsw i64 %row19, 1
  store i64 %v60, ptr %row15
  br label %row.head16
row.tail18:
  ret void
}

define void @finish(ptr %args, i64 %parts) {
entry:
  %a0 = getelementptr i64, ptr %args, i64 0
  %p0 = load ptr, ptr %a0
  %a1 = getelementptr i64, ptr %args, i64 1
  %p1 = load ptr, ptr %a1
  %a2 = getelementptr i64, ptr %args, i64 2
  %t0 = load ptr, ptr %a2
  %a3 = getelementptr i64, ptr %args, i64 3
  %flag = load ptr, ptr %a3
  %total1 = alloca <16 x float>, align 64
  %j2 = alloca i64, align 64
  %part12 = alloca i64, align 64
  store i64 0, ptr %j2
  br label %j.head3
j.head3:
  %j6 = load i64, ptr %j2
  %v7 = icmp slt i64 %j6, 24
  br i1 %v7, label %j.body4, label %j.tail5
j.body4:
  %v8 = insertelement <16 x i64> poison, i64 %j6, i64 0
  %v9 = shufflevector <16 x i64> %v8, <16 x i64> poison, <16 x i32> zeroinitializer
  %v10 = add <16 x i64> %v9, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v11 = icmp slt <16 x i64> %v10, splat (i64 24)
  store <16 x float> zeroinitializer, ptr %total1
  store i64 0, ptr %part12
  br label %part.head13
part.head13:
  %part16 = load i64, ptr %part12
  %v17 = icmp slt i64 %part16, %parts
  br i1 %v17, label %part.body14, label %part.tail15
part.body14:
  %v18 = mul nsw i64 %part16, 24
  %v19 = add nsw i64 %v18, %j6
  %v20 = getelementptr float, ptr %t0, i64 %v19
  %v21 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v20, i32 4, <16 x i1> %v11, <16 x float> zeroinitializer)
  %v22 = load <16 x float>, ptr %total1
  %v23 = fadd <16 x float> %v22, %v21
  store <16 x float> %v23, ptr %total1
  %v24 = add nsw i64 %part16, 1
  store i64 %v24, ptr %part12
  br label %part.head13
part.tail15:
  %v25 = load <16 x float>, ptr %total1
  %v26 = getelementptr float, ptr %p1, i64 %j6
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v25, ptr %v26, i32 4, <16 x i1> %v11)
  %v27 = add nsw i64 %j6, 16
  store i64 %v27, ptr %j2
  br label %j.head3
j.tail5:
  ret void
}

