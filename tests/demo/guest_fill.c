// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs in the guest: writes MIB MiB of pseudo-random bytes over the beginning of FILE. The same
 * SEED gives the same bytes, so that two guests hold the same pages without having talked to each
 * other.
 *
 * usage: fill SEED MIB FILE
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* FNV-1a: seeds that look alike must not start near each other. */
static uint64_t hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3;
	return h;
}

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

int main(int argc, char **argv)
{
	static uint64_t block[1 << 17]; /* 1 MiB */
	uint64_t state;
	long mib;
	int fd;

	if (argc != 4 || (mib = atol(argv[2])) < 0) {
		fprintf(stderr, "usage: fill SEED MIB FILE\n");
		return 2;
	}
	state = hash(argv[1]);
	fd = open(argv[3], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		perror(argv[3]);
		return 1;
	}
	while (mib--) {
		for (size_t i = 0; i < sizeof block / sizeof *block; i++)
			block[i] = splitmix64(&state);
		if (write(fd, block, sizeof block) != (ssize_t)sizeof block) {
			perror(argv[3]);
			return 1;
		}
	}
	return close(fd) ? 1 : 0;
}
