; v3: float32[16, 16, 16] = copy(v2)

define void @rows(ptr %args, i64 %begin, i64 %end, i64 %part) {
entry:
  %a0 = getelementptr i64, ptr %args, i64 0
  %p0 = load ptr, ptr %a0
  %a1 = getelementptr i64, ptr %args, i64 1
  %p1 = load ptr, ptr %a1
  %a2 = getelementptr i64, ptr %args, i64 2
  %flag = load ptr, ptr %a2
  %tile1 = alloca float, i64 256, align 64
  %row2 = alloca i64, align 64
  %tile8 = alloca i64, align 64
  %tile14 = alloca i64, align 64
  %c214 = alloca i64, align 64
  %j220 = alloca i64, align 64
  store i64 %begin, ptr %row2
  br label %row.head3
row.head3:
  %row6 = load i64, ptr %row2
  %v7 = icmp slt i64 %row6, %end
  br i1 %v7, label %row.body4, label %row.tail5
row.body4:
  store i64 0, ptr %tile8
  br label %tile.head9
tile.head9:
  %tile12 = load i64, ptr %tile8
  %v13 = icmp slt i64 %tile12, 16
  br i1 %v13, label %tile.body10, label %tile.tail11
tile.body10:
  store i64 0, ptr %tile14
  br label %tile.head15
tile.head15:
  %tile18 = load i64, ptr %tile14
  %v19 = icmp slt i64 %tile18, 16
  br i1 %v19, label %tile.body16, label %tile.tail17
tile.body16:
  %v20 = mul nsw i64 %row6, 256
  %v21 = add nsw i64 %v20, %tile18
  %v22 = mul nsw i64 %tile12, 16
  %v23 = add nsw i64 %v21, %v22
  %v24 = getelementptr float, ptr %p0, i64 %v23
  %v25 = load <16 x float>, ptr %v24, align 4
  %v26 = add nsw i64 %v23, 16
  %v27 = getelementptr float, ptr %p0, i64 %v26
  %v28 = load <16 x float>, ptr %v27, align 4
  %v29 = mul nsw i64 16, 2
  %v30 = add nsw i64 %v23, %v29
  %v31 = getelementptr float, ptr %p0, i64 %v30
  %v32 = load <16 x float>, ptr %v31, align 4
  %v33 = mul nsw i64 16, 3
  %v34 = add nsw i64 %v23, %v33
  %v35 = getelementptr float, ptr %p0, i64 %v34
  %v36 = load <16 x float>, ptr %v35, align 4
  %v37 = mul nsw i64 16, 4
  %v38 = add nsw i64 %v23, %v37
  %v39 = getelementptr float, ptr %p0, i64 %v38
  %v40 = load <16 x float>, ptr %v39, align 4
  %v41 = mul nsw i64 16, 5
  %v42 = add nsw i64 %v23, %v41
  %v43 = getelementptr float, ptr %p0, i64 %v42
  %v44 = load <16 x float>, ptr %v43, align 4
  %v45 = mul nsw i64 16, 6
  %v46 = add nsw i64 %v23, %v45
  %v47 = getelementptr float, ptr %p0, i64 %v46
  %v48 = load <16 x float>, ptr %v47, align 4
  %v49 = mul nsw i64 16, 7
  %v50 = add nsw i64 %v23, %v49
  %v51 = getelementptr float, ptr %p0, i64 %v50
  %v52 = load <16 x float>, ptr %v51, align 4
  %v53 = mul nsw i64 16, 8
  %v54 = add nsw i64 %v23, %v53
  %v55 = getelementptr float, ptr %p0, i64 %v54
  %v56 = load <16 x float>, ptr %v55, align 4
  %v57 = mul nsw i64 16, 9
  %v58 = add nsw i64 %v23, %v57
  %v59 = getelementptr float, ptr %p0, i64 %v58
  %v60 = load <16 x float>, ptr %v59, align 4
  %v61 = mul nsw i64 16, 10
  %v62 = add nsw i64 %v23, %v61
  %v63 = getelementptr float, ptr %p0, i64 %v62
  %v64 = load <16 x float>, ptr %v63, align 4
  %v65 = mul nsw i64 16, 11
  %v66 = add nsw i64 %v23, %v65
  %v67 = getelementptr float, ptr %p0, i64 %v66
  %v68 = load <16 x float>, ptr %v67, align 4
  %v69 = mul nsw i64 16, 12
  %v70 = add nsw i64 %v23, %v69
  %v71 = getelementptr float, ptr %p0, i64 %v70
  %v72 = load <16 x float>, ptr %v71, align 4
  %v73 = mul nsw i64 16, 13
  %v74 = add nsw i64 %v23, %v73
  %v75 = getelementptr float, ptr %p0, i64 %v74
  %v76 = load <16 x float>, ptr %v75, align 4
  %v77 = mul nsw i64 16, 14
  %v78 = add nsw i64 %v23, %v77
  %v79 = getelementptr float, ptr %p0, i64 %v78
  %v80 = load <16 x float>, ptr %v79, align 4
  %v81 = mul nsw i64 16, 15
  %v82 = add nsw i64 %v23, %v81
  %v83 = getelementptr float, ptr %p0, i64 %v82
  %v84 = load <16 x float>, ptr %v83, align 4
  %v85 = shufflevector <16 x float> %v25, <16 x float> %v56, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23>
  %v86 = shufflevector <16 x float> %v25, <16 x float> %v56, <16 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v87 = shufflevector <16 x float> %v28, <16 x float> %v60, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23>
  %v88 = shufflevector <16 x float> %v28, <16 x float> %v60, <16 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v89 = shufflevector <16 x float> %v32, <16 x float> %v64, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23>
  %v90 = shufflevector <16 x float> %v32, <16 x float> %v64, <16 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v91 = shufflevector <16 x float> %v36, <16 x float> %v68, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23>
  %v92 = shufflevector <16 x float> %v36, <16 x float> %v68, <16 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v93 = shufflevector <16 x float> %v40, <16 x float> %v72, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23>
  %v94 = shufflevector <16 x float> %v40, <16 x float> %v72, <16 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v95 = shufflevector <16 x float> %v44, <16 x float> %v76, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23>
  %v96 = shufflevector <16 x float> %v44, <16 x float> %v76, <16 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v97 = shufflevector <16 x float> %v48, <16 x float> %v80, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23>
  %v98 = shufflevector <16 x float> %v48, <16 x float> %v80, <16 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v99 = shufflevector <16 x float> %v52, <16 x float> %v84, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 16, i32 17, i32 18, i32 19, i32 20, i32 21, i32 22, i32 23>
  %v100 = shufflevector <16 x float> %v52, <16 x float> %v84, <16 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15, i32 24, i32 25, i32 26, i32 27, i32 28, i32 29, i32 30, i32 31>
  %v101 = shufflevector <16 x float> %v85, <16 x float> %v93, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 16, i32 17, i32 18, i32 19, i32 8, i32 9, i32 10, i32 11, i32 24, i32 25, i32 26, i32 27>
  %v102 = shufflevector <16 x float> %v85, <16 x float> %v93, <16 x i32> <i32 4, i32 5, i32 6, i32 7, i32 20, i32 21, i32 22, i32 23, i32 12, i32 13, i32 14, i32 15, i32 28, i32 29, i32 30, i32 31>
  %v103 = shufflevector <16 x float> %v87, <16 x float> %v95, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 16, i32 17, i32 18, i32 19, i32 8, i32 9, i32 10, i32 11, i32 24, i32 25, i32 26, i32 27>
  %v104 = shufflevector <16 x float> %v87, <16 x float> %v95, <16 x i32> <i32 4, i32 5, i32 6, i32 7, i32 20, i32 21, i32 22, i32 23, i32 12, i32 13, i32 14, i32 15, i32 28, i32 29, i32 30, i32 31>
  %v105 = shufflevector <16 x float> %v89, <16 x float> %v97, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 16, i32 17, i32 18, i32 19, i32 8, i32 9, i32 10, i32 11, i32 24, i32 25, i32 26, i32 27>
  %v106 = shufflevector <16 x float> %v89, <16 x float> %v97, <16 x i32> <i32 4, i32 5, i32 6, i32 7, i32 20, i32 21, i32 22, i32 23, i32 12, i32 13, i32 14, i32 15, i32 28, i32 29, i32 30, i32 31>
  %v107 = shufflevector <16 x float> %v91, <16 x float> %v99, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 16, i32 17, i32 18, i32 19, i32 8, i32 9, i32 10, i32 11, i32 24, i32 25, i32 26, i32 27>
  %v108 = shufflevector <16 x float> %v91, <16 x float> %v99, <16 x i32> <i32 4, i32 5, i32 6, i32 7, i32 20, i32 21, i32 22, i32 23, i32 12, i32 13, i32 14, i32 15, i32 28, i32 29, i32 30, i32 31>
  %v109 = shufflevector <16 x float> %v86, <16 x float> %v94, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 16, i32 17, i32 18, i32 19, i32 8, i32 9, i32 10, i32 11, i32 24, i32 25, i32 26, i32 27>
  %v110 = shufflevector <16 x float> %v86, <16 x float> %v94, <16 x i32> <i32 4, i32 5, i32 6, i32 7, i32 20, i32 21, i32 22, i32 23, i32 12, i32 13, i32 14, i32 15, i32 28, i32 29, i32 30, i32 31>
  %v111 = shufflevector <16 x float> %v88, <16 x float> %v96, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 16, i32 17, i32 18, i32 19, i32 8, i32 9, i32 10, i32 11, i32 24, i32 25, i32 26, i32 27>
  %v112 = shufflevector <16 x float> %v88, <16 x float> %v96, <16 x i32> <i32 4, i32 5, i32 6, i32 7, i32 20, i32 21, i32 22, i32 23, i32 12, i32 13, i32 14, i32 15, i32 28, i32 29, i32 30, i32 31>
  %v113 = shufflevector <16 x float> %v90, <16 x float> %v98, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 16, i32 17, i32 18, i32 19, i32 8, i32 9, i32 10, i32 11, i32 24, i32 25, i32 26, i32 27>
  %v114 = shufflevector <16 x float> %v90, <16 x float> %v98, <16 x i32> <i32 4, i32 5, i32 6, i32 7, i32 20, i32 21, i32 22, i32 23, i32 12, i32 13, i32 14, i32 15, i32 28, i32 29, i32 30, i32 31>
  %v115 = shufflevector <16 x float> %v92, <16 x float> %v100, <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 16, i32 17, i32 18, i32 19, i32 8, i32 9, i32 10, i32 11, i32 24, i32 25, i32 26, i32 27>
  %v116 = shufflevector <16 x float> %v92, <16 x float> %v100, <16 x i32> <i32 4, i32 5, i32 6, i32 7, i32 20, i32 21, i32 22, i32 23, i32 12, i32 13, i32 14, i32 15, i32 28, i32 29, i32 30, i32 31>
  %v117 = shufflevector <16 x float> %v101, <16 x float> %v105, <16 x i32> <i32 0, i32 1, i32 16, i32 17, i32 4, i32 5, i32 20, i32 21, i32 8, i32 9, i32 24, i32 25, i32 12, i32 13, i32 28, i32 29>
  %v118 = shufflevector <16 x float> %v101, <16 x float> %v105, <16 x i32> <i32 2, i32 3, i32 18, i32 19, i32 6, i32 7, i32 22, i32 23, i32 10, i32 11, i32 26, i32 27, i32 14, i32 15, i32 30, i32 31>
  %v119 = shufflevector <16 x float> %v103, <16 x float> %v107, <16 x i32> <i32 0, i32 1, i32 16, i32 17, i32 4, i32 5, i32 20, i32 21, i32 8, i32 9, i32 24, i32 25, i32 12, i32 13, i32 28, i32 29>
  %v120 = shufflevector <16 x float> %v103, <16 x float> %v107, <16 x i32> <i32 2, i32 3, i32 18, i32 19, i32 6, i32 7, i32 22, i32 23, i32 10, i32 11, i32 26, i32 27, i32 14, i32 15, i32 30, i32 31>
  %v121 = shufflevector <16 x float> %v102, <16 x float> %v106, <16 x i32> <i32 0, i32 1, i32 16, i32 17, i32 4, i32 5, i32 20, i32 21, i32 8, i32 9, i32 24, i32 25, i32 12, i32 13, i32 28, i32 29>
  %v122 = shufflevector <16 x float> %v102, <16 x float> %v106, <16 x i32> <i32 2, i32 3, i32 18, i32 19, i32 6, i32 7, i32 22, i32 23, i32 10, i32 11, i32 26, i32 27, i32 14, i32 15, i32 30, i32 31>
  %v123 = shufflevector <16 x float> %v104, <16 x float> %v108, <16 x i32> <i32 0, i32 1, i32 16, i32 17, i32 4, i32 5, i32 20, i32 21, i32 8, i32 9, i32 24, i32 25, i32 12, i32 13, i32 28, i32 29>
  %v124 = shufflevector <16 x float> %v104, <16 x float> %v108, <16 x i32> <i32 2, i32 3, i32 18, i32 19, i32 6, i32 7, i32 22, i32 23, i32 10, i32 11, i32 26, i32 27, i32 14, i32 15, i32 30, i32 31>
  %v125 = shufflevector <16 x float> %v109, <16 x float> %v113, <16 x i32> <i32 0, i32 1, i32 16, i32 17, i32 4, i32 5, i32 20, i32 21, i32 8, i32 9, i32 24, i32 25, i32 12, i32 13, i32 28, i32 29>
  %v126 = shufflevector <16 x float> %v109, <16 x float> %v113, <16 x i32> <i32 2, i32 3, i32 18, i32 19, i32 6, i32 7, i32 22, i32 23, i32 10, i32 11, i32 26, i32 27, i32 14, i32 15, i32 30, i32 31>
  %v127 = shufflevector <16 x float> %v111, <16 x float> %v115, <16 x i32> <i32 0, i32 1, i32 16, i32 17, i32 4, i32 5, i32 20, i32 21, i32 8, i32 9, i32 24, i32 25, i32 12, i32 13, i32 28, i32 29>
  %v128 = shufflevector <16 x float> %v111, <16 x float> %v115, <16 x i32> <i32 2, i32 3, i32 18, i32 19, i32 6, i32 7, i32 22, i32 23, i32 10, i32 11, i32 26, i32 27, i32 14, i32 15, i32 30, i32 31>
  %v129 = shufflevector <16 x float> %v110, <16 x float> %v114, <16 x i32> <i32 0, i32 1, i32 16, i32 17, i32 4, i32 5, i32 20, i32 21, i32 8, i32 9, i32 24, i32 25, i32 12, i32 13, i32 28, i32 29>
  %v130 = shufflevector <16 x float> %v110, <16 x float> %v114, <16 x i32> <i32 2, i32 3, i32 18, i32 19, i32 6, i32 7, i32 22, i32 23, i32 10, i32 11, i32 26, i32 27, i32 14, i32 15, i32 30, i32 31>
  %v131 = shufflevector <16 x float> %v112, <16 x float> %v116, <16 x i32> <i32 0, i32 1, i32 16, i32 17, i32 4, i32 5, i32 20, i32 21, i32 8, i32 9, i32 24, i32 25, i32 12, i32 13, i32 28, i32 29>
  %v132 = shufflevector <16 x float> %v112, <16 x float> %v116, <16 x i32> <i32 2, i32 3, i32 18, i32 19, i32 6, i32 7, i32 22, i32 23, i32 10, i32 11, i32 26, i32 27, i32 14, i32 15, i32 30, i32 31>
  %v133 = shufflevector <16 x float> %v117, <16 x float> %v119, <16 x i32> <i32 0, i32 16, i32 2, i32 18, i32 4, i32 20, i32 6, i32 22, i32 8, i32 24, i32 10, i32 26, i32 12, i32 28, i32 14, i32 30>
  %v134 = shufflevector <16 x float> %v117, <16 x float> %v119, <16 x i32> <i32 1, i32 17, i32 3, i32 19, i32 5, i32 21, i32 7, i32 23, i32 9, i32 25, i32 11, i32 27, i32 13, i32 29, i32 15, i32 31>
  %v135 = shufflevector <16 x float> %v118, <16 x float> %v120, <16 x i32> <i32 0, i32 16, i32 2, i32 18, i32 4, i32 20, i32 6, i32 22, i32 8, i32 24, i32 10, i32 26, i32 12, i32 28, i32 14, i32 30>
  %v136 = shufflevector <16 x float> %v118, <16 x float> %v120, <16 x i32> <i32 1, i32 17, i32 3, i32 19, i32 5, i32 21, i32 7, i32 23, i32 9, i32 25, i32 11, i32 27, i32 13, i32 29, i32 15, i32 31>
  %v137 = shufflevector <16 x float> %v121, <16 x float> %v123, <16 x i32> <i32 0, i32 16, i32 2, i32 18, i32 4, i32 20, i32 6, i32 22, i32 8, i32 24, i32 10, i32 26, i32 12, i32 28, i32 14, i32 30>
  %v138 = shufflevector <16 x float> %v121, <16 x float> %v123, <16 x i32> <i32 1, i32 17, i32 3, i32 19, i32 5, i32 21, i32 7, i32 23, i32 9, i32 25, i32 11, i32 27, i32 13, i32 29, i32 15, i32 31>
  %v139 = shufflevector <16 x float> %v122, <16 x float> %v124, <16 x i32> <i32 0, i32 16, i32 2, i32 18, i32 4, i32 20, i32 6, i32 22, i32 8, i32 24, i32 10, i32 26, i32 12, i32 28, i32 14, i32 30>
  %v140 = shufflevector <16 x float> %v122, <16 x float> %v124, <16 x i32> <i32 1, i32 17, i32 3, i32 19, i32 5, i32 21, i32 7, i32 23, i32 9, i32 25, i32 11, i32 27, i32 13, i32 29, i32 15, i32 31>
  %v141 = shufflevector <16 x float> %v125, <16 x float> %v127, <16 x i32> <i32 0, i32 16, i32 2, i32 18, i32 4, i32 20, i32 6, i32 22, i32 8, i32 24, i32 10, i32 26, i32 12, i32 28, i32 14, i32 30>
  %v142 = shufflevector <16 x float> %v125, <16 x float> %v127, <16 x i32> <i32 1, i32 17, i32 3, i32 19, i32 5, i32 21, i32 7, i32 23, i32 9, i32 25, i32 11, i32 27, i32 13, i32 29, i32 15, i32 31>
  %v143 = shufflevector <16 x float> %v126, <16 x float> %v128, <16 x i32> <i32 0, i32 16, i32 2, i32 18, i32 4, i32 20, i32 6, i32 22, i32 8, i32 24, i32 10, i32 26, i32 12, i32 28, i32 14, i32 30>
  %v144 = shufflevector <16 x float> %v126, <16 x float> %v128, <16 x i32> <i32 1, i32 17, i32 3, i32 19, i32 5, i32 21, i32 7, i32 23, i32 9, i32 25, i32 11, i32 27, i32 13, i32 29, i32 15, i32 31>
  %v145 = shufflevector <16 x float> %v129, <16 x float> %v131, <16 x i32> <i32 0, i32 16, i32 2, i32 18, i32 4, i32 20, i32 6, i32 22, i32 8, i32 24, i32 10, i32 26, i32 12, i32 28, i32 14, i32 30>
  %v146 = shufflevector <16 x float> %v129, <16 x float> %v131, <16 x i32> <i32 1, i32 17, i32 3, i32 19, i32 5, i32 21, i32 7, i32 23, i32 9, i32 25, i32 11, i32 27, i32 13, i32 29, i32 15, i32 31>
  %v147 = shufflevector <16 x float> %v130, <16 x float> %v132, <16 x i32> <i32 0, i32 16, i32 2, i32 18, i32 4, i32 20, i32 6, i32 22, i32 8, i32 24, i32 10, i32 26, i32 12, i32 28, i32 14, i32 30>
  %v148 = shufflevector <16 x float> %v130, <16 x float> %v132, <16 x i32> <i32 1, i32 17, i32 3, i32 19, i32 5, i32 21, i32 7, i32 23, i32 9, i32 25, i32 11, i32 27, i32 13, i32 29, i32 15, i32 31>
  %v149 = mul nsw i64 %tile18, 16
  %v150 = add nsw i64 %v149, %tile12
  %v151 = getelementptr float, ptr %tile1, i64 %v150
  store <16 x float> %v133, ptr %v151, align 4
  %v152 = add nsw i64 %tile18, 1
  %v153 = mul nsw i64 %v152, 16
  %v154 = add nsw i64 %v153, %tile12
  %v155 = getelementptr float, ptr %tile1, i64 %v154
  store <16 x float> %v134, ptr %v155, align 4
  %v156 = add nsw i64 %tile18, 2
  %v157 = mul nsw i64 %v156, 16
  %v158 = add nsw i64 %v157, %tile12
  %v159 = getelementptr float, ptr %tile1, i64 %v158
  store <16 x float> %v135, ptr %v159, align 4
  %v160 = add nsw i64 %tile18, 3
  %v161 = mul nsw i64 %v160, 16
  %v162 = add nsw i64 %v161, %tile12
  %v163 = getelementptr float, ptr %tile1, i64 %v162
  store <16 x float> %v136, ptr %v163, align 4
  %v164 = add nsw i64 %tile18, 4
  %v165 = mul nsw i64 %v164, 16
  %v166 = add nsw i64 %v165, %tile12
  %v167 = getelementptr float, ptr %tile1, i64 %v166
  store <16 x float> %v137, ptr %v167, align 4
  %v168 = add nsw i64 %tile18, 5
  %v169 = mul nsw i64 %v168, 16
  %v170 = add nsw i64 %v169, %tile12
  %v171 = getelementptr float, ptr %tile1, i64 %v170
  store <16 x float> %v138, ptr %v171, align 4
  %v172 = add nsw i64 %tile18, 6
  %v173 = mul nsw i64 %v172, 16
  %v174 = add nsw i64 %v173, %tile12
  %v175 = getelementptr float, ptr %tile1, i64 %v174
  store <16 x float> %v139, ptr %v175, align 4
  %v176 = add nsw i64 %tile18, 7
  %v177 = mul nsw i64 %v176, 16
  %v178 = add nsw i64 %v177, %tile12
  %v179 = getelementptr float, ptr %tile1, i64 %v178
  store <16 x float> %v140, ptr %v179, align 4
  %v180 = add nsw i64 %tile18, 8
  %v181 = mul nsw i64 %v180, 16
  %v182 = add nsw i64 %v181, %tile12
  %v183 = getelementptr float, ptr %tile1, i64 %v182
  store <16 x float> %v141, ptr %v183, align 4
  %v184 = add nsw i64 %tile18, 9
  %v185 = mul nsw i64 %v184, 16
  %v186 = add nsw i64 %v185, %tile12
  %v187 = getelementptr float, ptr %tile1, i64 %v186
  store <16 x float> %v142, ptr %v187, align 4
  %v188 = add nsw i64 %tile18, 10
  %v189 = mul nsw i64 %v188, 16
  %v190 = add nsw i64 %v189, %tile12
  %v191 = getelementptr float, ptr %tile1, i64 %v190
  store <16 x float> %v143, ptr %v191, align 4
  %v192 = add nsw i64 %tile18, 11
  %v193 = mul nsw i64 %v192, 16
  %v194 = add nsw i64 %v193, %tile12
  %v195 = getelementptr float, ptr %tile1, i64 %v194
  store <16 x float> %v144, ptr %v195, align 4
  %v196 = add nsw i64 %tile18, 12
  %v197 = mul nsw i64 %v196, 16
  %v198 = add nsw i64 %v197, %tile12
  %v199 = getelementptr float, ptr %tile1, i64 %v198
  store <16 x float> %v145, ptr %v199, align 4
  %v200 = add nsw i64 %tile18, 13
  %v201 = mul nsw i64 %v200, 16
  %v202 = add nsw i64 %v201, %tile12
  %v203 = getelementptr float, ptr %tile1, i64 %v202
  store <16 x float> %v146, ptr %v203, align 4
  %v204 = add nsw i64 %tile18, 14
  %v205 = mul nsw i64 %v204, 16
  %v206 = add nsw i64 %v205, %tile12
  %v207 = getelementptr float, ptr %tile1, i64 %v206
  store <16 x float> %v147, ptr %v207, align 4
  %v208 = add nsw i64 %tile18, 15
  %v209 = mul nsw i64 %v208, 16
  %v210 = add nsw i64 %v209, %tile12
  %v211 = getelementptr float, ptr %tile1, i64 %v210
  store <16 x float> %v148, ptr %v211, align 4
  %v212 = add nsw i64 %tile18, 16
  store i64 %v212, ptr %tile14
  br label %tile.head15
tile.tail17:
  %v213 = add nsw i64 %tile12, 16
  store i64 %v213, ptr %tile8
  br label %tile.head9
tile.tail11:
  ; pass 1 of 1
  store i64 0, ptr %c214
  br label %c.head215
c.head215:
  %c218 = load i64, ptr %c214
  %v219 = icmp slt i64 %c218, 16
  br i1 %v219, label %c.body216, label %c.tail217
c.body216:
  store i64 0, ptr %j220
  br label %j.head221
j.head221:
  %j224 = load i64, ptr %j220
  %v225 = icmp slt i64 %j224, 16
  br i1 %v225, label %j.body222, label %j.tail223
j.body222:
  %v226 = mul nsw i64 %c218, 16
  %v227 = add nsw i64 %v226, %j224
  %v228 = getelementptr float, ptr %tile1, i64 %v227
  %v229 = load <16 x float>, ptr %v228, align 4
  %v230 = mul nsw i64 %row6, 256
  %v231 = mul nsw i64 %c218, 16
  %v232 = add nsw i64 %v230, %v231
  %v233 = add nsw i64 %v232, %j224
  %v234 = getelementptr float, ptr %p1, i64 %v233
  store <16 x float> %v229, ptr %v234, align 4
  %v235 = add nsw i64 %j224, 16
  store i64 %v235, ptr %j220
  br label %j.head221
j.tail223:
  %v236 = add nsw i64 %c218, 1
  store i64 %v236, ptr %c214
  br label %c.head215
c.tail217:
  %v237 = add nsw i64 %row6, 1
  store i64 %v237, ptr %row2
  br label %row.head3
row.tail5:
  ret void
}

