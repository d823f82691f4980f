// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/web.h"

#include "proto/base/cleanup.h"

#define EMBED(name, file)                                                                          \
	extern const unsigned char name[], name##_end[];                                           \
	__asm__(".pushsection .rodata\n"                                                           \
		".global " #name ", " #name "_end\n" #name ":\n"                                   \
		".incbin \"server/web/" file "\"\n" #name "_end:\n"                                \
		".byte 0\n"                                                                        \
		".popsection\n")

EMBED(mb_web_index, "index.html");
EMBED(mb_web_style, "style.css");
EMBED(mb_web_order, "order.js");
EMBED(mb_web_draw, "draw.js");
EMBED(mb_web_table, "table.js");
EMBED(mb_web_matrix, "matrix.js");
EMBED(mb_web_recall, "recall.js");
EMBED(mb_web_app, "app.js");

bool mb_web_find(const char *path, struct mb_web_file *ret)
{
	static const struct {
		const char *path, *type;
		const unsigned char *data, *end;
	} files[] = {
		{ "/", "text/html; charset=utf-8", mb_web_index, mb_web_index_end },
		{ "/style.css", "text/css; charset=utf-8", mb_web_style, mb_web_style_end },
		{ "/order.js", "text/javascript; charset=utf-8", mb_web_order, mb_web_order_end },
		{ "/draw.js", "text/javascript; charset=utf-8", mb_web_draw, mb_web_draw_end },
		{ "/table.js", "text/javascript; charset=utf-8", mb_web_table, mb_web_table_end },
		{ "/matrix.js", "text/javascript; charset=utf-8", mb_web_matrix, mb_web_matrix_end },
		{ "/recall.js", "text/javascript; charset=utf-8", mb_web_recall, mb_web_recall_end },
		{ "/app.js", "text/javascript; charset=utf-8", mb_web_app, mb_web_app_end },
	};

	for (size_t i = 0; i < MB_ARRAY_LEN(files); i++) {
		if (strcmp(files[i].path, path) != 0)
			continue;
		*ret = (struct mb_web_file){
			.path = files[i].path,
			.type = files[i].type,
			.content = { files[i].data, (size_t)(files[i].end - files[i].data) },
		};
		return true;
	}
	return false;
}
