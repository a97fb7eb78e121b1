"""The functions around a kernel's rows: parts dealt out to threads, and the call of it all.

`@NAME` runs one kernel over all its rows; `@NAME.table` runs it over rows of many sets of tensors,
which a table lists: how optimizers update all parameters of a model at once.
"""

from __future__ import annotations

__all__ = ["entry_functions"]

_TEMPLATE = """\
declare void @GOMP_parallel(ptr, ptr, i32, i32)
declare i32 @omp_get_thread_num()
declare i32 @omp_get_num_threads()

; Runs parts first to last, each over its own stretch of the count.
define internal void @NAME.parts(ptr %args, i64 %count, i64 %chunk, i64 %first, i64 %last) {
entry:
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
  call void @NAME.rows(ptr %args, i64 %begin, i64 %end, i64 %part)
  br label %head
tail:
  ret void
}

; One thread's share of the parts.
define internal void @NAME.thread(ptr %data) {
entry:
  %1 = call i32 @omp_get_thread_num()
  %2 = call i32 @omp_get_num_threads()
  %thread = sext i32 %1 to i64
  %threads = sext i32 %2 to i64
  %args = load ptr, ptr %data
  %3 = getelementptr i64, ptr %data, i64 1
  %count = load i64, ptr %3
  %4 = getelementptr i64, ptr %data, i64 2
  %chunk = load i64, ptr %4
  %5 = getelementptr i64, ptr %data, i64 3
  %parts = load i64, ptr %5
  %6 = mul nsw i64 %thread, %parts
  %first = sdiv i64 %6, %threads
  %7 = add nsw i64 %6, %parts
  %last = sdiv i64 %7, %threads
  call void @NAME.parts(ptr %args, i64 %count, i64 %chunk, i64 %first, i64 %last)
  ret void
}

define void @NAME(ptr %args, i64 %count, i64 %chunk, i64 %parts, i32 %threads) {
entry:
  %data = alloca [4 x i64]
  %is_serial = icmp sle i32 %threads, 1
  br i1 %is_serial, label %serial, label %parallel
serial:
  call void @NAME.parts(ptr %args, i64 %count, i64 %chunk, i64 0, i64 %parts)
  br label %done
parallel:
  store ptr %args, ptr %data
  %1 = getelementptr i64, ptr %data, i64 1
  store i64 %count, ptr %1
  %2 = getelementptr i64, ptr %data, i64 2
  store i64 %chunk, ptr %2
  %3 = getelementptr i64, ptr %data, i64 3
  store i64 %parts, ptr %3
  call void @GOMP_parallel(ptr @NAME.thread, ptr %data, i32 %threads, i32 0)
  br label %done
done:
  call void @NAME.finish(ptr %args, i64 %parts)
  ret void
}

; One thread's share of a table of work: the arguments, first and last row and part of each item.
define internal void @NAME.items(ptr %table, i64 %first, i64 %last) {
entry:
  br label %head
head:
  %item = phi i64 [ %first, %entry ], [ %next, %body ]
  %going = icmp slt i64 %item, %last
  br i1 %going, label %body, label %tail
body:
  %row = getelementptr [4 x i64], ptr %table, i64 %item
  %args = load ptr, ptr %row
  %1 = getelementptr i64, ptr %row, i64 1
  %begin = load i64, ptr %1
  %2 = getelementptr i64, ptr %row, i64 2
  %end = load i64, ptr %2
  %3 = getelementptr i64, ptr %row, i64 3
  %part = load i64, ptr %3
  call void @NAME.rows(ptr %args, i64 %begin, i64 %end, i64 %part)
  %next = add nsw i64 %item, 1
  br label %head
tail:
  ret void
}

define internal void @NAME.table_thread(ptr %data) {
entry:
  %1 = call i32 @omp_get_thread_num()
  %2 = call i32 @omp_get_num_threads()
  %thread = sext i32 %1 to i64
  %threads = sext i32 %2 to i64
  %table = load ptr, ptr %data
  %3 = getelementptr i64, ptr %data, i64 1
  %items = load i64, ptr %3
  %4 = mul nsw i64 %thread, %items
  %first = sdiv i64 %4, %threads
  %5 = add nsw i64 %4, %items
  %last = sdiv i64 %5, %threads
  call void @NAME.items(ptr %table, i64 %first, i64 %last)
  ret void
}

define void @NAME.table(ptr %table, i64 %items, i32 %threads) {
entry:
  %data = alloca [2 x i64]
  %is_serial = icmp sle i32 %threads, 1
  br i1 %is_serial, label %serial, label %parallel
serial:
  call void @NAME.items(ptr %table, i64 0, i64 %items)
  ret void
parallel:
  store ptr %table, ptr %data
  %1 = getelementptr i64, ptr %data, i64 1
  store i64 %items, ptr %1
  call void @GOMP_parallel(ptr @NAME.table_thread, ptr %data, i32 %threads, i32 0)
  ret void
}

declare i64 @llvm.smin.i64(i64, i64)"""


def entry_functions(name: str) -> str:
    """Those of a kernel of this name."""
    return _TEMPLATE.replace("NAME", name)
