# For gdb: gdb -x kernels/simt/simt.gdb --args build/debug/07_flash_tiling
#
#     who                       the thread that stands here
#     at KERNEL BLOCK THREAD    stop in a kernel, but only this thread (both numbers: x)

set breakpoint pending on
set print thread-events off
set debuginfod enabled off
# The watchman of endless kernels would take a pause for one: none is begun.
set environment SIMT_SECONDS 0
# One OS thread: a step stays where it is. With no other at all, gdb cannot ask for one that just
# ended with the program ("Couldn't get registers: No such process").
set environment SIMT_THREADS 1

define who
    set $w = simt_worker
    set $t = $w->current
    printf "block (%d,%d,%d), thread (%d,%d,%d) = warp %d lane %d\n", $w->at.x, $w->at.y, $w->at.z, $t->at.x, $t->at.y, $t->at.z, $t->warp->index, $t->lane
end
document who
The block, the thread, the warp and the lane that stand here.
end

define at
    break $arg0 if simt_worker->at.x == $arg1 && simt_worker->current->at.x == $arg2
end
document at
at KERNEL BLOCK THREAD: stop there, but only this thread of this block.
end
