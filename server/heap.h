/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the server uses the C library's heap. Fingerprints are large blocks that are replaced all the
 * time: what they leave free must be found again by the next one, whichever thread asks, and what
 * nobody needs must go back to the kernel.
 *
 * Blocks of their own by mmap(2) would leave nothing, but each new page of them is a fault: ingest
 * then takes a multiple of the time (docs/performance.md).
 */
#ifndef MB_SERVER_HEAP_H
#define MB_SERVER_HEAP_H

/*
 * One heap for all threads, before there are any: of a thread's own, malloc_trim(3) never gives
 * back what is free at its end, up to 64 MiB each.
 */
void mb_heap_init(void);
/*
 * Gives whole free pages back to the kernel, wherever they are. Who allocates meanwhile waits for
 * it, some milliseconds for a heap of gigabytes.
 */
void mb_heap_trim(void);

#endif
