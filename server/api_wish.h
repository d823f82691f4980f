/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of the API that changes executions which are under way. For api.c only. */
#ifndef MB_SERVER_API_WISH_H
#define MB_SERVER_API_WISH_H

#include "server/api.h"

/* `rest` is what follows /v1/executions/: "ID/cancel" or "ID/decide". As mb_api_post(). */
int mb_api_wish(struct mb_api *api, const char *rest, mb_api_query query, void *ctx,
		json_t **ret_json, struct mb_err *err);
/*
 * Of executions that take their time there is one at a time: two would not know of each other's
 * VMs on their way. -EBUSY names the one that is under way.
 */
int mb_api_check_idle(struct mb_api *api, struct mb_err *err);

#endif
