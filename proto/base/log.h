/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a program tells its operator: one line each on standard error. Only programs log (main.c and
 * the loops of a daemon); libraries return errors.
 *
 *   error  it will not do what it was asked      warning  it goes on, but not as asked
 *   info   what an operator wants to see once    debug    what a developer wants to see
 */
#ifndef MB_BASE_LOG_H
#define MB_BASE_LOG_H

enum mb_log_level { MB_LOG_ERROR, MB_LOG_WARNING, MB_LOG_INFO, MB_LOG_DEBUG };

/* `program` is borrowed. Under journald lines start with "<N>" priorities (sd-daemon(3)). */
void mb_log_init(const char *program, enum mb_log_level max);
void mb_log(enum mb_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define mb_error(...)	mb_log(MB_LOG_ERROR, __VA_ARGS__)
#define mb_warning(...) mb_log(MB_LOG_WARNING, __VA_ARGS__)
#define mb_info(...)	mb_log(MB_LOG_INFO, __VA_ARGS__)
#define mb_debug(...)	mb_log(MB_LOG_DEBUG, __VA_ARGS__)

#endif
