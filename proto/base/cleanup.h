/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scope guards: what a function opens is closed on every way out of it. */
#ifndef MB_BASE_CLEANUP_H
#define MB_BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define mb_cleanup(fn) __attribute__((cleanup(fn)))

static inline void mb_freep(void *p)
{
	free(*(void **)p);
}

static inline void mb_closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void mb_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void mb_closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define mb_autofree	mb_cleanup(mb_freep)
#define mb_autoclose	mb_cleanup(mb_closep)
#define mb_autofclose	mb_cleanup(mb_fclosep)
#define mb_autoclosedir mb_cleanup(mb_closedirp)

/* Hands over a guarded pointer or file descriptor: the guard then finds nothing to do. */
#define mb_take_ptr(p)                                                                             \
	__extension__({                                                                            \
		__typeof__(p) mb_taken_ = (p);                                                     \
		(p) = NULL;                                                                        \
		mb_taken_;                                                                         \
	})
#define mb_take_fd(fd)                                                                             \
	__extension__({                                                                            \
		int mb_taken_ = (fd);                                                              \
		(fd) = -1;                                                                         \
		mb_taken_;                                                                         \
	})

#define MB_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MB_MIN(a, b)	((a) < (b) ? (a) : (b))
#define MB_MAX(a, b)	((a) > (b) ? (a) : (b))

#endif
