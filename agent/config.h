/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options that the agent's commands have in common, and what they open. */
#ifndef MB_AGENT_CONFIG_H
#define MB_AGENT_CONFIG_H

#include <argp.h>

#include "agent/pass.h"
#include "agent/trackers.h"

struct mb_agent_config {
	const char *source; /* required */
	const char *domain;
	const char *key_file; /* NULL: digests stay raw */
	const char *module;   /* mbwalk.ko, NULL: to be found */
	enum mb_algorithm algorithm;
	uint32_t bits;
	uint32_t parts; /* digests per page (parts.h) */
};

/* A child parser for argp; its input is a struct mb_agent_config. */
extern const struct argp mb_agent_argp;
extern const struct mb_agent_config mb_agent_config_default;

/* Source, tracker and pass, opened as the config says. */
struct mb_agent {
	struct mb_source *source;
	struct mb_tracker *tracker;
	struct mb_pass pass;
	struct mb_source_info info;
};

/*
 * `wish` NULL: no tracker. MB_DEBUG_TRACK in the environment switches rules of the pass off, for
 * tests: "no-rule-2", "no-rule-3".
 */
int mb_agent_open(struct mb_agent *a, const struct mb_agent_config *config,
		  const struct mb_tracker_wish *wish, struct mb_err *err);
void mb_agent_close(struct mb_agent *a);
/*
 * Reads the key file again. 1: it has another key, which the next epoch has; 0: it has not. What is
 * wrong with it leaves all as it was.
 */
int mb_agent_reload_key(struct mb_agent *a, const struct mb_agent_config *config,
			struct mb_err *err);

/* Prints "mbagent: error: ..." once; returns MB_EXIT_FAILED. */
int mb_agent_failed(const struct mb_err *err);

#endif
