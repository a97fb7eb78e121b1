"""What runs kernels, itself LLVM IR: rows dealt out to threads in parts, and tables of work.

It is compiled once in a process and is given the addresses of a kernel's two functions:

    rows(args, begin, end, part)    some rows, in one thread
    finish(args, parts)             what is left when all parts are done; null where nothing is
"""

from __future__ import annotations

__all__ = ["RUNTIME"]

RUNTIME = """\
declare void @GOMP_parallel(ptr, ptr, i32, i32)
declare i32 @omp_get_thread_num()
declare i32 @omp_get_num_threads()
declare i64 @llvm.smin.i64(i64, i64)

%work = type { ptr, ptr, i64, i64, i64 } ; rows, args, count, chunk, parts

; Runs parts first to last, each over its own stretch of the count.
define internal void @parts(ptr %data, i64 %first, i64 %last) {
entry:
  %rows = load ptr, ptr %data
  %1 = getelementptr %work, ptr %data, i32 0, i32 1
  %args = load ptr, ptr %1
  %2 = getelementptr %work, ptr %data, i32 0, i32 2
  %count = load i64, ptr %2
  %3 = getelementptr %work, ptr %data, i32 0, i32 3
  %chunk = load i64, ptr %3
  br label %head
head:
  %part = phi i64 [ %first, %entry ], [ %next, %body ]
  %going = icmp slt i64 %part, %last
  br i1 %going, label %body, label %tail
body:
  %begin = mul nsw i64 %part, %chunk
  %next = add nsw i64 %part, 1
  %after = mul nsw i64 %next, %chunk
  %end = call i64 @llvm.smin.i64(i64 %after, i64 %count)
  call void %rows(ptr %args, i64 %begin, i64 %end, i64 %part)
  br label %head
tail:
  ret void
}

; One thread's share of the parts.
define internal void @thread(ptr %data) {
entry:
  %1 = call i32 @omp_get_thread_num()
  %2 = call i32 @omp_get_num_threads()
  %thread = sext i32 %1 to i64
  %threads = sext i32 %2 to i64
  %3 = getelementptr %work, ptr %data, i32 0, i32 4
  %parts = load i64, ptr %3
  %4 = mul nsw i64 %thread, %parts
  %first = sdiv i64 %4, %threads
  %5 = add nsw i64 %4, %parts
  %last = sdiv i64 %5, %threads
  call void @parts(ptr %data, i64 %first, i64 %last)
  ret void
}

define void @run(ptr %rows, ptr %finish, ptr %args, i64 %count, i64 %chunk, i64 %parts, i32 %n) {
entry:
  %data = alloca %work
  store ptr %rows, ptr %data
  %1 = getelementptr %work, ptr %data, i32 0, i32 1
  store ptr %args, ptr %1
  %2 = getelementptr %work, ptr %data, i32 0, i32 2
  store i64 %count, ptr %2
  %3 = getelementptr %work, ptr %data, i32 0, i32 3
  store i64 %chunk, ptr %3
  %4 = getelementptr %work, ptr %data, i32 0, i32 4
  store i64 %parts, ptr %4
  %is_serial = icmp sle i32 %n, 1
  br i1 %is_serial, label %serial, label %parallel
serial:
  call void @parts(ptr %data, i64 0, i64 %parts)
  br label %joined
parallel:
  call void @GOMP_parallel(ptr @thread, ptr %data, i32 %n, i32 0)
  br label %joined
joined:
  %is_done = icmp eq ptr %finish, null
  br i1 %is_done, label %done, label %ending
ending:
  call void %finish(ptr %args, i64 %parts)
  br label %done
done:
  ret void
}

; A table of work: where in the arguments those of each item begin, in bytes, first and last row and
; part.
%item = type { i64, i64, i64, i64 }
%table = type { ptr, ptr, i64, ptr } ; rows, items, their number, arguments

define internal void @items(ptr %data, i64 %first, i64 %last) {
entry:
  %rows = load ptr, ptr %data
  %1 = getelementptr %table, ptr %data, i32 0, i32 1
  %items = load ptr, ptr %1
  %slot = getelementptr %table, ptr %data, i32 0, i32 3
  %all = load ptr, ptr %slot
  br label %head
head:
  %index = phi i64 [ %first, %entry ], [ %next, %body ]
  %going = icmp slt i64 %index, %last
  br i1 %going, label %body, label %tail
body:
  %item = getelementptr %item, ptr %items, i64 %index
  %place = load i64, ptr %item
  %args = getelementptr i8, ptr %all, i64 %place
  %2 = getelementptr %item, ptr %item, i32 0, i32 1
  %begin = load i64, ptr %2
  %3 = getelementptr %item, ptr %item, i32 0, i32 2
  %end = load i64, ptr %3
  %4 = getelementptr %item, ptr %item, i32 0, i32 3
  %part = load i64, ptr %4
  call void %rows(ptr %args, i64 %begin, i64 %end, i64 %part)
  %next = add nsw i64 %index, 1
  br label %head
tail:
  ret void
}

define internal void @table_thread(ptr %data) {
entry:
  %1 = call i32 @omp_get_thread_num()
  %2 = call i32 @omp_get_num_threads()
  %thread = sext i32 %1 to i64
  %threads = sext i32 %2 to i64
  %3 = getelementptr %table, ptr %data, i32 0, i32 2
  %count = load i64, ptr %3
  %4 = mul nsw i64 %thread, %count
  %first = sdiv i64 %4, %threads
  %5 = add nsw i64 %4, %count
  %last = sdiv i64 %5, %threads
  call void @items(ptr %data, i64 %first, i64 %last)
  ret void
}

define void @run_table(ptr %rows, ptr %args, ptr %items, i64 %count, i32 %n) {
entry:
  %data = alloca %table
  store ptr %rows, ptr %data
  %1 = getelementptr %table, ptr %data, i32 0, i32 1
  store ptr %items, ptr %1
  %2 = getelementptr %table, ptr %data, i32 0, i32 2
  store i64 %count, ptr %2
  %3 = getelementptr %table, ptr %data, i32 0, i32 3
  store ptr %args, ptr %3
  %is_serial = icmp sle i32 %n, 1
  br i1 %is_serial, label %serial, label %parallel
serial:
  call void @items(ptr %data, i64 0, i64 %count)
  ret void
parallel:
  call void @GOMP_parallel(ptr @table_thread, ptr %data, i32 %n, i32 0)
  ret void
}
"""
