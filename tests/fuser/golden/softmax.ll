; v2: float32[8] = reduce(v1, how=max, dims=(1,))
; v5: float32[8, 48] = sub(v1, v4)
; v6: float32[8, 48] = exp(v5)
; v7: float32[8] = reduce(v6, how=sum, dims=(1,))
; v12: float32[8, 1] = div(v11, v8)
; v14: float32[8, 48] = mul(v6, v13)

declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)
declare <16 x float> @llvm.maximum.v16f32(<16 x float>, <16 x float>)
declare <16 x float> @llvm.roundeven.v16f32(<16 x float>)
declare <2 x float> @llvm.maximum.v2f32(<2 x float>, <2 x float>)
declare <4 x float> @llvm.maximum.v4f32(<4 x float>, <4 x float>)
declare <8 x float> @llvm.maximum.v8f32(<8 x float>, <8 x float>)
declare float @llvm.maximum.f32(float, float)

define void @rows(ptr %args, i64 %begin, i64 %end, i64 %part) {
entry:
  %a0 = getelementptr i64, ptr %args, i64 0
  %p0 = load ptr, ptr %a0
  %a1 = getelementptr i64, ptr %args, i64 1
  %p1 = load ptr, ptr %a1
  %a2 = getelementptr i64, ptr %args, i64 2
  %flag = load ptr, ptr %a2
  %kept1 = alloca float, i64 64, align 64
  %row2 = alloca i64, align 64
  %sum8 = alloca <16 x float>, align 64
  %j9 = alloca i64, align 64
  %sum37 = alloca <16 x float>, align 64
  %j38 = alloca i64, align 64
  %j99 = alloca i64, align 64
  store i64 %begin, ptr %row2
  br label %row.head3
row.head3:
  %row6 = load i64, ptr %row2
  %v7 = icmp slt i64 %row6, %end
  br i1 %v7, label %row.body4, label %row.tail5
row.body4:
  ; pass 1 of 3
  store <16 x float> splat (float 0xFFF0000000000000), ptr %sum8
  store i64 0, ptr %j9
  br label %j.head10
j.head10:
  %j13 = load i64, ptr %j9
  %v14 = icmp slt i64 %j13, 48
  br i1 %v14, label %j.body11, label %j.tail12
j.body11:
  %v15 = mul nsw i64 %row6, 48
  %v16 = add nsw i64 %v15, %j13
  %v17 = getelementptr float, ptr %p0, i64 %v16
  %v18 = load <16 x float>, ptr %v17, align 4
  %v19 = load <16 x float>, ptr %sum8
  %v20 = call <16 x float> @llvm.maximum.v16f32(<16 x float> %v19, <16 x float> %v18)
  store <16 x float> %v20, ptr %sum8
  %v21 = add nsw i64 %j13, 16
  store i64 %v21, ptr %j9
  br label %j.head10
j.tail12:
  %v22 = load <16 x float>, ptr %sum8
  %v23 = shufflevector <16 x float> %v22, <16 x float> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %v24 = shufflevector <16 x float> %v22, <16 x float> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %v25 = call <8 x float> @llvm.maximum.v8f32(<8 x float> %v23, <8 x float> %v24)
  %v26 = shufflevector <8 x float> %v25, <8 x float> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %v27 = shufflevector <8 x float> %v25, <8 x float> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %v28 = call <4 x float> @llvm.maximum.v4f32(<4 x float> %v26, <4 x float> %v27)
  %v29 = shufflevector <4 x float> %v28, <4 x float> poison, <2 x i32> <i32 0, i32 1>
  %v30 = shufflevector <4 x float> %v28, <4 x float> poison, <2 x i32> <i32 2, i32 3>
  %v31 = call <2 x float> @llvm.maximum.v2f32(<2 x float> %v29, <2 x float> %v30)
  %v32 = shufflevector <2 x float> %v31, <2 x float> poison, <1 x i32> <i32 0>
  %v33 = shufflevector <2 x float> %v31, <2 x float> poison, <1 x i32> <i32 1>
  %v34 = extractelement <1 x float> %v32, i64 0
  %v35 = extractelement <1 x float> %v33, i64 0
  %v36 = call float @llvm.maximum.f32(float %v34, float %v35)
  ; pass 2 of 3
  store <16 x float> zeroinitializer, ptr %sum37
  store i64 0, ptr %j38
  br label %j.head39
j.head39:
  %j42 = load i64, ptr %j38
  %v43 = icmp slt i64 %j42, 48
  br i1 %v43, label %j.body40, label %j.tail41
j.body40:
  %v44 = mul nsw i64 %row6, 48
  %v45 = add nsw i64 %v44, %j42
  %v46 = getelementptr float, ptr %p0, i64 %v45
  %v47 = load <16 x float>, ptr %v46, align 4
  %v48 = insertelement <16 x float> poison, float %v36, i64 0
  %v49 = shufflevector <16 x float> %v48, <16 x float> poison, <16 x i32> zeroinitializer
  %v50 = fsub <16 x float> %v47, %v49
  %v51 = fcmp olt <16 x float> %v50, splat (float 0xC05A000000000000)
  %v52 = select <16 x i1> %v51, <16 x float> splat (float 0xC05A000000000000), <16 x float> %v50
  %v53 = fcmp ogt <16 x float> %v52, splat (float 0x4056400000000000)
  %v54 = select <16 x i1> %v53, <16 x float> splat (float 0x4056400000000000), <16 x float> %v52
  %v55 = fmul <16 x float> %v54, splat (float 0x3FF7154760000000)
  %v56 = call <16 x float> @llvm.roundeven.v16f32(<16 x float> %v55)
  %v57 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v56, <16 x float> splat (float 0xBFE6300000000000), <16 x float> %v54)
  %v58 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v56, <16 x float> splat (float 0x3F2BD01060000000), <16 x float> %v57)
  %v59 = fmul <16 x float> %v58, %v58
  %v60 = call <16 x float> @llvm.fma.v16f32(<16 x float> splat (float 0x3F2A1A91A0000000), <16 x float> %v58, <16 x float> splat (float 0x3F56D96E80000000))
  %v61 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v60, <16 x float> %v58, <16 x float> splat (float 0x3F81110880000000))
  %v62 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v61, <16 x float> %v58, <16 x float> splat (float 0x3FA5554800000000))
  %v63 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v62, <16 x float> %v58, <16 x float> splat (float 0x3FC5555560000000))
  %v64 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v63, <16 x float> %v58, <16 x float> splat (float 0x3FE0000000000000))
  %v65 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v59, <16 x float> %v64, <16 x float> %v58)
  %v66 = fadd <16 x float> %v65, splat (float 0x3FF0000000000000)
  %v67 = fptosi <16 x float> %v56 to <16 x i32>
  %v68 = freeze <16 x i32> %v67
  %v69 = ashr <16 x i32> %v68, splat (i32 1)
  %v70 = sub <16 x i32> %v68, %v69
  %v71 = add <16 x i32> %v69, splat (i32 127)
  %v72 = shl <16 x i32> %v71, splat (i32 23)
  %v73 = bitcast <16 x i32> %v72 to <16 x float>
  %v74 = fmul <16 x float> %v66, %v73
  %v75 = add <16 x i32> %v70, splat (i32 127)
  %v76 = shl <16 x i32> %v75, splat (i32 23)
  %v77 = bitcast <16 x i32> %v76 to <16 x float>
  %v78 = fmul <16 x float> %v74, %v77
  %v79 = getelementptr float, ptr %kept1, i64 %j42
  store <16 x float> %v78, ptr %v79, align 4
  %v80 = load <16 x float>, ptr %sum37
  %v81 = fadd <16 x float> %v80, %v78
  store <16 x float> %v81, ptr %sum37
  %v82 = add nsw i64 %j42, 16
  store i64 %v82, ptr %j38
  br label %j.head39
j.tail41:
  %v83 = load <16 x float>, ptr %sum37
  %v84 = shufflevector <16 x float> %v83, <16 x float> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %v85 = shufflevector <16 x float> %v83, <16 x float> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %v86 = fadd <8 x float> %v84, %v85
  %v87 = shufflevector <8 x float> %v86, <8 x float> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %v88 = shufflevector <8 x float> %v86, <8 x float> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %v89 = fadd <4 x float> %v87, %v88
  %v90 = shufflevector <4 x float> %v89, <4 x float> poison, <2 x i32> <i32 0, i32 1>
  %v91 = shufflevector <4 x float> %v89, <4 x float> poison, <2 x i32> <i32 2, i32 3>
  %v92 = fadd <2 x float> %v90, %v91
  %v93 = shufflevector <2 x float> %v92, <2 x float> poison, <1 x i32> <i32 0>
  %v94 = shufflevector <2 x float> %v92, <2 x float> poison, <1 x i32> <i32 1>
  %v95 = extractelement <1 x float> %v93, i64 0
  %v96 = extractelement <1 x float> %v94, i64 0
  %v97 = fadd float %v95, %v96
  ; pass 3 of 3
  %v98 = fdiv float 0x3FF0000000000000, %v97
  store i64 0, ptr %j99
  br label %j.head100
j.head100:
  %j103 = load i64, ptr %j99
  %v104 = icmp slt i64 %j103, 48
  br i1 %v104, label %j.body101, label %j.tail102
j.body101:
  %v105 = getelementptr float, ptr %kept1, i64 %j103
  %v106 = load <16 x float>, ptr %v105, align 4
  %v107 = insertelement <16 x float> poison, float %v98, i64 0
  %v108 = shufflevector <16 x float> %v107, <16 x float> poison, <16 x i32> zeroinitializer
  %v109 = fmul <16 x float> %v106, %v108
  %v110 = mul nsw i64 %row6, 48
  %v111 = add nsw i64 %v110, %j103
  %v112 = getelementptr float, ptr %p1, i64 %v111
  store <16 x float> %v109, ptr %v112, align 4
  %v113 = add nsw i64 %j103, 16
  store i64 %v113, ptr %j99
  br label %j.head100
j.tail102:
  %v114 = add nsw i64 %row6, 1
  store i64 %v114, ptr %row2
  br label %row.head3
row.tail5:
  ret void
}

