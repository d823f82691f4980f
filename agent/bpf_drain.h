/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes the flags that BPF programs set in a map of bpf/dirty.h, while they go on setting them. */
#ifndef MB_BPF_DRAIN_H
#define MB_BPF_DRAIN_H

#include <stddef.h>
#include <stdint.h>

/*
 * Both clear the map, of n_words 64-bit words, and return how many frames were flagged. A word that
 * is swapped with 0 loses no flag: it was set before, or it will be found the next time.
 * `ret` gets a bit for each frame: as many words, or n_words / 8 rounded up from a map of bytes.
 */
uint64_t mb_bpf_drain_bits(uint64_t *map, size_t n_words, uint64_t *ret);
uint64_t mb_bpf_drain_bytes(uint64_t *map, size_t n_words, uint64_t *ret);

#endif
