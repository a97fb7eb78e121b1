; v6: float32[4, 16] = copy(v5)

declare void @llvm.masked.store.v16f32.p0(<16 x float>, ptr, i32, <16 x i1>)

define void @rows(ptr %args, i64 %begin, i64 %end, i64 %part) {
entry:
  %a0 = getelementptr i64, ptr %args, i64 0
  %p0 = load ptr, ptr %a0
  %a1 = getelementptr i64, ptr %args, i64 1
  %flag = load ptr, ptr %a1
  %j4 = alloca i64, align 64
  %rest14 = alloca i64, align 64
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
  store <16 x float> splat (float 0x0000000000000000), ptr %v11, align 4
  %v12 = getelementptr float, ptr %p0, i64 %v10
  store <16 x float> splat (float 0x0000000000000000), ptr %v12, align 4
  %v13 = add nsw i64 %j8, 32
  store i64 %v13, ptr %j4
  br label %j.head5
j.tail7:
  store i64 %v3, ptr %rest14
  br label %rest.head15
rest.head15:
  %rest18 = load i64, ptr %rest14
  %v19 = icmp slt i64 %rest18, %end
  br i1 %v19, label %rest.body16, label %rest.tail17
rest.body16:
  %v20 = insertelement <16 x i64> poison, i64 %rest18, i64 0
  %v21 = shufflevector <16 x i64> %v20, <16 x i64> poison, <16 x i32> zeroinitializer
  %v22 = add <16 x i64> %v21, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v23 = insertelement <16 x i64> poison, i64 %end, i64 0
  %v24 = shufflevector <16 x i64> %v23, <16 x i64> poison, <16 x i32> zeroinitializer
  %v25 = icmp slt <16 x i64> %v22, %v24
  %v26 = getelementptr float, ptr %p0, i64 %rest18
  call void @llvm.masked.store.v16f32.p0(<16 x float> splat (float 0x0000000000000000), ptr %v26, i32 4, <16 x i1> %v25)
  %v27 = add nsw i64 %rest18, 16
  store i64 %v27, ptr %rest14
  br label %rest.head15
rest.tail17:
  ret void
}

; v7: float32[4, 16] = scatter(v6, v1, v2, dim=0, how=sum)

declare <16 x float> @llvm.masked.gather.v16f32.v16p0(<16 x ptr>, i32, <16 x i1>, <16 x float>)
declare <16 x float> @llvm.masked.load.v16f32.p0(ptr, i32, <16 x i1>, <16 x float>)
declare <16 x i64> @llvm.masked.load.v16i64.p0(ptr, i32, <16 x i1>, <16 x i64>)
declare void @llvm.masked.scatter.v16f32.v16p0(<16 x float>, <16 x ptr>, i32, <16 x i1>)

define void @rows(ptr %args, i64 %begin, i64 %end, i64 %part) {
entry:
  %a0 = getelementptr i64, ptr %args, i64 0
  %p0 = load ptr, ptr %a0
  %a1 = getelementptr i64, ptr %args, i64 1
  %p1 = load ptr, ptr %a1
  %a2 = getelementptr i64, ptr %args, i64 2
  %p2 = load ptr, ptr %a2
  %a3 = getelementptr i64, ptr %args, i64 3
  %flag = load ptr, ptr %a3
  %bad1 = alloca i1, align 64
  %c2 = alloca i64, align 64
  %j11 = alloca i64, align 64
  %rest51 = alloca i64, align 64
  store i1 false, ptr %bad1
  ; pass 1 of 1
  store i64 0, ptr %c2
  br label %c.head3
c.head3:
  %c6 = load i64, ptr %c2
  %v7 = icmp slt i64 %c6, 8
  br i1 %v7, label %c.body4, label %c.tail5
c.body4:
  %v8 = sub i64 %end, %begin
  %v9 = and i64 %v8, -16
  %v10 = add i64 %begin, %v9
  store i64 %begin, ptr %j11
  br label %j.head12
j.head12:
  %j15 = load i64, ptr %j11
  %v16 = icmp slt i64 %j15, %v10
  br i1 %v16, label %j.body13, label %j.tail14
j.body13:
  %v17 = mul nsw i64 %c6, 16
  %v18 = add nsw i64 %v17, %j15
  %v19 = getelementptr float, ptr %p0, i64 %v18
  %v20 = load <16 x float>, ptr %v19, align 4
  %v21 = mul nsw i64 %c6, 16
  %v22 = add nsw i64 %v21, %j15
  %v23 = getelementptr i64, ptr %p1, i64 %v22
  %v24 = load <16 x i64>, ptr %v23, align 8
  %v25 = icmp uge <16 x i64> %v24, splat (i64 4)
  %v26 = shufflevector <16 x i1> %v25, <16 x i1> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %v27 = shufflevector <16 x i1> %v25, <16 x i1> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %v28 = or <8 x i1> %v26, %v27
  %v29 = shufflevector <8 x i1> %v28, <8 x i1> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %v30 = shufflevector <8 x i1> %v28, <8 x i1> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %v31 = or <4 x i1> %v29, %v30
  %v32 = shufflevector <4 x i1> %v31, <4 x i1> poison, <2 x i32> <i32 0, i32 1>
  %v33 = shufflevector <4 x i1> %v31, <4 x i1> poison, <2 x i32> <i32 2, i32 3>
  %v34 = or <2 x i1> %v32, %v33
  %v35 = shufflevector <2 x i1> %v34, <2 x i1> poison, <1 x i32> <i32 0>
  %v36 = shufflevector <2 x i1> %v34, <2 x i1> poison, <1 x i32> <i32 1>
  %v37 = extractelement <1 x i1> %v35, i64 0
  %v38 = extractelement <1 x i1> %v36, i64 0
  %v39 = or i1 %v37, %v38
  %v40 = load i1, ptr %bad1
  %v41 = or i1 %v40, %v39
  store i1 %v41, ptr %bad1
  %v42 = select <16 x i1> %v25, <16 x i64> zeroinitializer, <16 x i64> %v24
  %v43 = mul <16 x i64> %v42, splat (i64 16)
  %v44 = getelementptr float, ptr %p2, i64 %j15
  %v45 = mul <16 x i64> splat (i64 1), <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v46 = add <16 x i64> %v45, %v43
  %v47 = getelementptr float, ptr %v44, <16 x i64> %v46
  %v48 = call <16 x float> @llvm.masked.gather.v16f32.v16p0(<16 x ptr> %v47, i32 4, <16 x i1> splat (i1 true), <16 x float> zeroinitializer)
  %v49 = fadd <16 x float> %v48, %v20
  call void @llvm.masked.scatter.v16f32.v16p0(<16 x float> %v49, <16 x ptr> %v47, i32 4, <16 x i1> splat (i1 true))
  %v50 = add nsw i64 %j15, 16
  store i64 %v50, ptr %j11
  br label %j.head12
j.tail14:
  store i64 %v10, ptr %rest51
  br label %rest.head52
rest.head52:
  %rest55 = load i64, ptr %rest51
  %v56 = icmp slt i64 %rest55, %end
  br i1 %v56, label %rest.body53, label %rest.tail54
rest.body53:
  %v57 = insertelement <16 x i64> poison, i64 %rest55, i64 0
  %v58 = shufflevector <16 x i64> %v57, <16 x i64> poison, <16 x i32> zeroinitializer
  %v59 = add <16 x i64> %v58, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v60 = insertelement <16 x i64> poison, i64 %end, i64 0
  %v61 = shufflevector <16 x i64> %v60, <16 x i64> poison, <16 x i32> zeroinitializer
  %v62 = icmp slt <16 x i64> %v59, %v61
  %v63 = mul nsw i64 %c6, 16
  %v64 = add nsw i64 %v63, %rest55
  %v65 = getelementptr float, ptr %p0, i64 %v64
  %v66 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v65, i32 4, <16 x i1> %v62, <16 x float> zeroinitializer)
  %v67 = mul nsw i64 %c6, 16
  %v68 = add nsw i64 %v67, %rest55
  %v69 = getelementptr i64, ptr %p1, i64 %v68
  %v70 = call <16 x i64> @llvm.masked.load.v16i64.p0(ptr %v69, i32 8, <16 x i1> %v62, <16 x i64> zeroinitializer)
  %v71 = icmp uge <16 x i64> %v70, splat (i64 4)
  %v72 = and <16 x i1> %v71, %v62
  %v73 = shufflevector <16 x i1> %v72, <16 x i1> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %v74 = shufflevector <16 x i1> %v72, <16 x i1> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %v75 = or <8 x i1> %v73, %v74
  %v76 = shufflevector <8 x i1> %v75, <8 x i1> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %v77 = shufflevector <8 x i1> %v75, <8 x i1> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %v78 = or <4 x i1> %v76, %v77
  %v79 = shufflevector <4 x i1> %v78, <4 x i1> poison, <2 x i32> <i32 0, i32 1>
  %v80 = shufflevector <4 x i1> %v78, <4 x i1> poison, <2 x i32> <i32 2, i32 3>
  %v81 = or <2 x i1> %v79, %v80
  %v82 = shufflevector <2 x i1> %v81, <2 x i1> poison, <1 x i32> <i32 0>
  %v83 = shufflevector <2 x i1> %v81, <2 x i1> poison, <1 x i32> <i32 1>
  %v84 = extractelement <1 x i1> %v82, i64 0
  %v85 = extractelement <1 x i1> %v83, i64 0
  %v86 = or i1 %v84, %v85
  %v87 = load i1, ptr %bad1
  %v88 = or i1 %v87, %v86
  store i1 %v88, ptr %bad1
  %v89 = select <16 x i1> %v71, <16 x i64> zeroinitializer, <16 x i64> %v70
  %v90 = mul <16 x i64> %v89, splat (i64 16)
  %v91 = getelementptr float, ptr %p2, i64 %rest55
  %v92 = mul <16 x i64> splat (i64 1), <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v93 = add <16 x i64> %v92, %v90
  %v94 = getelementptr float, ptr %v91, <16 x i64> %v93
  %v95 = call <16 x float> @llvm.masked.gather.v16f32.v16p0(<16 x ptr> %v94, i32 4, <16 x i1> %v62, <16 x float> zeroinitializer)
  %v96 = fadd <16 x float> %v95, %v66
  call void @llvm.masked.scatter.v16f32.v16p0(<16 x float> %v96, <16 x ptr> %v94, i32 4, <16 x i1> %v62)
  %v97 = add nsw i64 %rest55, 16
  store i64 %v97, ptr %rest51
  br label %rest.head52
rest.tail54:
  %v98 = add nsw i64 %c6, 1
  store i64 %v98, ptr %c2
  br label %c.head3
c.tail5:
  %v99 = load i1, ptr %bad1
  %v100 = zext i1 %v99 to i32
  %ignored = atomicrmw or ptr %flag, i32 %v100 monotonic
  ret void
}

