; v2: float32[4, 16] = scan(v1, how=sum, dim=1)

define void @rows(ptr %args, i64 %begin, i64 %end, i64 %part) {
entry:
  %a0 = getelementptr i64, ptr %args, i64 0
  %p0 = load ptr, ptr %a0
  %a1 = getelementptr i64, ptr %args, i64 1
  %p1 = load ptr, ptr %a1
  %a2 = getelementptr i64, ptr %args, i64 2
  %flag = load ptr, ptr %a2
  %row1 = alloca i64, align 64
  %carry7 = alloca double, i64 1, align 64
  %j8 = alloca i64, align 64
  store i64 %begin, ptr %row1
  br label %row.head2
row.head2:
  %row5 = load i64, ptr %row1
  %v6 = icmp slt i64 %row5, %end
  br i1 %v6, label %row.body3, label %row.tail4
row.body3:
  ; pass 1 of 1
  store double 0x0000000000000000, ptr %carry7
  store i64 0, ptr %j8
  br label %j.head9
j.head9:
  %j12 = load i64, ptr %j8
  %v13 = icmp slt i64 %j12, 16
  br i1 %v13, label %j.body10, label %j.tail11
j.body10:
  %v14 = mul nsw i64 %row5, 16
  %v15 = add nsw i64 %v14, %j12
  %v16 = getelementptr float, ptr %p0, i64 %v15
  %v17 = load <16 x float>, ptr %v16, align 4
  %v18 = shufflevector <16 x float> %v17, <16 x float> zeroinitializer, <16 x i32> <i32 16, i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14>
  %v19 = fadd <16 x float> %v18, %v17
  %v20 = shufflevector <16 x float> %v19, <16 x float> zeroinitializer, <16 x i32> <i32 16, i32 16, i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13>
  %v21 = fadd <16 x float> %v20, %v19
  %v22 = shufflevector <16 x float> %v21, <16 x float> zeroinitializer, <16 x i32> <i32 16, i32 16, i32 16, i32 16, i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11>
  %v23 = fadd <16 x float> %v22, %v21
  %v24 = shufflevector <16 x float> %v23, <16 x float> zeroinitializer, <16 x i32> <i32 16, i32 16, i32 16, i32 16, i32 16, i32 16, i32 16, i32 16, i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %v25 = fadd <16 x float> %v24, %v23
  %v26 = load double, ptr %carry7
  %v27 = extractelement <16 x float> %v25, i64 15
  %v28 = fpext float %v27 to double
  %v29 = fadd double %v26, %v28
  store double %v29, ptr %carry7
  %v30 = fptrunc double %v26 to float
  %v31 = insertelement <16 x float> poison, float %v30, i64 0
  %v32 = shufflevector <16 x float> %v31, <16 x float> poison, <16 x i32> zeroinitializer
  %v33 = fadd <16 x float> %v32, %v25
  %v34 = mul nsw i64 %row5, 16
  %v35 = add nsw i64 %v34, %j12
  %v36 = getelementptr float, ptr %p1, i64 %v35
  store <16 x float> %v33, ptr %v36, align 4
  %v37 = add nsw i64 %j12, 16
  store i64 %v37, ptr %j8
  br label %j.head9
j.tail11:
  %v38 = add nsw i64 %row5, 1
  store i64 %v38, ptr %row1
  br label %row.head2
row.tail4:
  ret void
}

