; v2: float32[16] = reduce(v1, how=sum, dims=(0,))
; v3: float32[] = reduce(v1, how=sum, dims=(0, 1))

declare <16 x float> @llvm.masked.load.v16f32.p0(ptr, i32, <16 x i1>, <16 x float>)
declare void @llvm.masked.store.v16f32.p0(<16 x float>, ptr, i32, <16 x i1>)

define void @rows(ptr %args, i64 %begin, i64 %end, i64 %part) {
entry:
  %a0 = getelementptr i64, ptr %args, i64 0
  %p0 = load ptr, ptr %a0
  %a1 = getelementptr i64, ptr %args, i64 1
  %p1 = load ptr, ptr %a1
  %a2 = getelementptr i64, ptr %args, i64 2
  %p2 = load ptr, ptr %a2
  %a3 = getelementptr i64, ptr %args, i64 3
  %t0 = load ptr, ptr %a3
  %a4 = getelementptr i64, ptr %args, i64 4
  %t1 = load ptr, ptr %a4
  %a5 = getelementptr i64, ptr %args, i64 5
  %flag = load ptr, ptr %a5
  %z1 = alloca i64, align 64
  %total15 = alloca double, align 64
  %row16 = alloca i64, align 64
  %sum22 = alloca <16 x float>, align 64
  %j23 = alloca i64, align 64
  store i64 0, ptr %z1
  br label %z.head2
z.head2:
  %z5 = load i64, ptr %z1
  %v6 = icmp slt i64 %z5, 16
  br i1 %v6, label %z.body3, label %z.tail4
z.body3:
  %v7 = insertelement <16 x i64> poison, i64 %z5, i64 0
  %v8 = shufflevector <16 x i64> %v7, <16 x i64> poison, <16 x i32> zeroinitializer
  %v9 = add <16 x i64> %v8, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v10 = icmp slt <16 x i64> %v9, splat (i64 16)
  %v11 = mul nsw i64 %part, 16
  %v12 = add nsw i64 %v11, %z5
  %v13 = getelementptr float, ptr %t0, i64 %v12
  call void @llvm.masked.store.v16f32.p0(<16 x float> zeroinitializer, ptr %v13, i32 4, <16 x i1> %v10)
  %v14 = add nsw i64 %z5, 16
  store i64 %v14, ptr %z1
  br label %z.head2
z.tail4:
  store double 0x0000000000000000, ptr %total15
  store i64 %begin, ptr %row16
  br label %row.head17
row.head17:
  %row20 = load i64, ptr %row16
  %v21 = icmp slt i64 %row20, %end
  br i1 %v21, label %row.body18, label %row.tail19
row.body18:
  ; pass 1 of 1
  store <16 x float> zeroinitializer, ptr %sum22
  store i64 0, ptr %j23
  br label %j.head24
j.head24:
  %j27 = load i64, ptr %j23
  %v28 = icmp slt i64 %j27, 16
  br i1 %v28, label %j.body25, label %j.tail26
j.body25:
  %v29 = mul nsw i64 %row20, 16
  %v30 = add nsw i64 %v29, %j27
  %v31 = getelementptr float, ptr %p0, i64 %v30
  %v32 = load <16 x float>, ptr %v31, align 4
  %v33 = load <16 x float>, ptr %sum22
  %v34 = fadd <16 x float> %v33, %v32
  store <16 x float> %v34, ptr %sum22
  %v35 = mul nsw i64 %part, 16
  %v36 = add nsw i64 %v35, %j27
  %v37 = getelementptr float, ptr %t0, i64 %v36
  %v38 = load <16 x float>, ptr %v37, align 4
  %v39 = fadd <16 x float> %v38, %v32
  store <16 x float> %v39, ptr %v37, align 4
  %v40 = add nsw i64 %j27, 16
  store i64 %v40, ptr %j23
  br label %j.head24
j.tail26:
  %v41 = load <16 x float>, ptr %sum22
  %v42 = shufflevector <16 x float> %v41, <16 x float> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %v43 = shufflevector <16 x float> %v41, <16 x float> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %v44 = fadd <8 x float> %v42, %v43
  %v45 = shufflevector <8 x float> %v44, <8 x float> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %v46 = shufflevector <8 x float> %v44, <8 x float> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %v47 = fadd <4 x float> %v45, %v46
  %v48 = shufflevector <4 x float> %v47, <4 x float> poison, <2 x i32> <i32 0, i32 1>
  %v49 = shufflevector <4 x float> %v47, <4 x float> poison, <2 x i32> <i32 2, i32 3>
  %v50 = fadd <2 x float> %v48, %v49
  %v51 = shufflevector <2 x float> %v50, <2 x float> poison, <1 x i32> <i32 0>
  %v52 = shufflevector <2 x float> %v50, <2 x float> poison, <1 x i32> <i32 1>
  %v53 = extractelement <1 x float> %v51, i64 0
  %v54 = extractelement <1 x float> %v52, i64 0
  %v55 = fadd float %v53, %v54
  %v56 = load double, ptr %total15
  %v57 = fpext float %v55 to double
  %v58 = fadd double %v56, %v57
  store double %v58, ptr %total15
  %v59 = add nsw i64 %row20, 1
  store i64 %v59, ptr %row16
  br label %row.head17
row.tail19:
  %v60 = load double, ptr %total15
  %v61 = getelementptr double, ptr %t1, i64 %part
  store double %v60, ptr %v61
  ret void
}

define void @finish(ptr %args, i64 %parts) {
entry:
  %a0 = getelementptr i64, ptr %args, i64 0
  %p0 = load ptr, ptr %a0
  %a1 = getelementptr i64, ptr %args, i64 1
  %p1 = load ptr, ptr %a1
  %a2 = getelementptr i64, ptr %args, i64 2
  %p2 = load ptr, ptr %a2
  %a3 = getelementptr i64, ptr %args, i64 3
  %t0 = load ptr, ptr %a3
  %a4 = getelementptr i64, ptr %args, i64 4
  %t1 = load ptr, ptr %a4
  %a5 = getelementptr i64, ptr %args, i64 5
  %flag = load ptr, ptr %a5
  %total1 = alloca <16 x float>, align 64
  %j2 = alloca i64, align 64
  %part12 = alloca i64, align 64
  %total28 = alloca double, align 64
  %part29 = alloca i64, align 64
  store i64 0, ptr %j2
  br label %j.head3
j.head3:
  %j6 = load i64, ptr %j2
  %v7 = icmp slt i64 %j6, 16
  br i1 %v7, label %j.body4, label %j.tail5
j.body4:
  %v8 = insertelement <16 x i64> poison, i64 %j6, i64 0
  %v9 = shufflevector <16 x i64> %v8, <16 x i64> poison, <16 x i32> zeroinitializer
  %v10 = add <16 x i64> %v9, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v11 = icmp slt <16 x i64> %v10, splat (i64 16)
  store <16 x float> zeroinitializer, ptr %total1
  store i64 0, ptr %part12
  br label %part.head13
part.head13:
  %part16 = load i64, ptr %part12
  %v17 = icmp slt i64 %part16, %parts
  br i1 %v17, label %part.body14, label %part.tail15
part.body14:
  %v18 = mul nsw i64 %part16, 16
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
  store double 0x0000000000000000, ptr %total28
  store i64 0, ptr %part29
  br label %part.head30
part.head30:
  %part33 = load i64, ptr %part29
  %v34 = icmp slt i64 %part33, %parts
  br i1 %v34, label %part.body31, label %part.tail32
part.body31:
  %v35 = getelementptr double, ptr %t1, i64 %part33
  %v36 = load double, ptr %v35
  %v37 = load double, ptr %total28
  %v38 = fadd double %v37, %v36
  store double %v38, ptr %total28
  %v39 = add nsw i64 %part33, 1
  store i64 %v39, ptr %part29
  br label %part.head30
part.tail32:
  %v40 = load double, ptr %total28
  %v41 = fptrunc double %v40 to float
  %v42 = getelementptr float, ptr %p2, i64 0
  store float %v41, ptr %v42
  ret void
}

