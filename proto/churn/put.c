// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/put.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"

void mb_put(struct mb_buf *to, const char *format, ...)
{
	va_list args, again;
	uint8_t *at;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	at = n < 0 ? NULL : mb_buf_reserve(to, (size_t)n + 1);
	if (at) {
		vsnprintf((char *)at, (size_t)n + 1, format, again);
		to->len += (size_t)n;
	} else {
		to->failed = true;
	}
	va_end(again);
	va_end(args);
}

/* Bytes of the UTF-8 character at `p` that XML can hold; 0: it cannot. */
static size_t character(const unsigned char *p)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *p < 0x80 ? 1 : *p >> 5 == 6 ? 2 : *p >> 4 == 14 ? 3 : *p >> 3 == 30 ? 4 : 0;
	uint32_t v = n == 1 ? *p : n ? *p & (0x7fu >> n) : 0;

	for (size_t i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		v = v << 6 | (p[i] & 0x3f);
	}
	if (!n || v < least[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff) || v == 0xfffe ||
	    v == 0xffff || (v >= 0x7f && v <= 0x9f))
		return 0;
	return v >= 0x20 || v == '\t' || v == '\n' || v == '\r' ? n : 0;
}

void mb_put_escaped(struct mb_buf *to, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	while (*p) {
		size_t n = character(p);

		if (*p == '&')
			mb_buf_put(to, "&amp;", 5);
		else if (*p == '<')
			mb_buf_put(to, "&lt;", 4);
		else if (*p == '>')
			mb_buf_put(to, "&gt;", 4);
		else if (*p == '"')
			mb_buf_put(to, "&quot;", 6);
		else if (*p == '\'')
			mb_buf_put(to, "&#39;", 5);
		else if (n)
			mb_buf_put(to, p, n);
		else
			mb_buf_put(to, "\xef\xbf\xbd", 3);
		p += n ? n : 1;
	}
}

void mb_json_unrefp(json_t **j)
{
	json_decref(*j);
}

double mb_json_number(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_number(v) ? json_number_value(v) : NAN;
}

void mb_put_number(struct mb_buf *to, const json_t *o, const char *key, int digits,
		   const char *none)
{
	double v = mb_json_number(o, key);

	if (isnan(v))
		mb_put(to, "%s", none);
	else
		mb_put(to, "%.*f", digits, v);
}

json_t *mb_json_real(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

json_t *mb_json_any_text(const char *text)
{
	json_t *ret = json_string(text);
	mb_autofree char *copy = NULL;

	if (ret)
		return ret;
	copy = strdup(text);
	for (char *p = copy; p && *p; p++)
		*p = *p & 0x80 ? '?' : *p;
	return copy ? json_string(copy) : NULL;
}
