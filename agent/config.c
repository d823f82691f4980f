// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/config.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/base/file.h"
#include "proto/base/log.h"

enum { OPT_DOMAIN = 256, OPT_KEY, OPT_BITS, OPT_HASH, OPT_MODULE };

static const struct argp_option options[] = {
	{ "source", 's', "SOURCE", 0,
	  "where the pages come from: kmod[:free], process:PID[,ram|all], elf:FILE[,FILE...] or "
	  "trace:FILE[,FILE...]",
	  1 },
	{ "module", OPT_MODULE, "FILE", 0,
	  "the mbwalk.ko that source kmod loads when none is loaded, instead of the one that it "
	  "finds; it stays loaded",
	  1 },
	{ "domain", OPT_DOMAIN, "NAME", 0,
	  "trust domain: the VMs that may be compared with this one (default)", 2 },
	{ "key", OPT_KEY, "FILE", 0,
	  "the trust domain's key, 32 hex digits; without it whoever sees a digest can test a "
	  "guess at the page's content. SIGHUP: mbagent run reads it again",
	  2 },
	{ "bits", OPT_BITS, "64|48", 0, "bits kept of each digest (64)", 2 },
	{ "hash", OPT_HASH, "NAME", 0,
	  "xxh64 or superfasthash32, to compare with old traces (xxh64)", 2 },
	{ 0 },
};

const struct mb_agent_config mb_agent_config_default = {
	.domain = "default",
	.algorithm = MB_XXH64,
	.bits = 64,
	.parts = 1,
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct mb_agent_config *c = state->input;

	switch (key) {
	case 's':
		c->source = arg;
		return 0;
	case OPT_DOMAIN:
		c->domain = arg;
		return 0;
	case OPT_KEY:
		c->key_file = arg;
		return 0;
	case OPT_MODULE:
		c->module = arg;
		return 0;
	case OPT_BITS:
		if (strcmp(arg, "64") != 0 && strcmp(arg, "48") != 0)
			argp_error(state, "--bits %s: 64 or 48", arg);
		c->bits = arg[0] == '6' ? 64 : 48;
		return 0;
	case OPT_HASH:
		if (strcmp(arg, "xxh64") == 0)
			c->algorithm = MB_XXH64;
		else if (strcmp(arg, "superfasthash32") == 0)
			c->algorithm = MB_SUPERFASTHASH32;
		else
			argp_error(state, "--hash %s: xxh64 or superfasthash32", arg);
		return 0;
	case ARGP_KEY_END:
		if (!c->source)
			argp_error(state, "--source is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp mb_agent_argp = { .options = options, .parser = parse };

static int read_key(const char *path, uint8_t key[MB_KEY_BYTES], struct mb_err *err)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf text = { 0 };
	int r = mb_file_read(path, 4096, &text, err);

	if (r == 0) {
		r = mb_key_parse((const char *)text.data, key, err);
		if (r < 0)
			mb_fail_in(err, r, "%s", path);
		explicit_bzero(text.data, text.len);
	}
	return r < 0 ? mb_fail_in(err, r, "--key") : 0;
}

static unsigned int broken_rules(void)
{
	const char *debug = getenv("MB_DEBUG_TRACK");

	if (!debug)
		return 0;
	return (strstr(debug, "no-rule-2") ? MB_BREAK_RULE_2 : 0) |
	       (strstr(debug, "no-rule-3") ? MB_BREAK_RULE_3 : 0);
}

int mb_agent_open(struct mb_agent *a, const struct mb_agent_config *config,
		  const struct mb_tracker_wish *wish, struct mb_err *err)
{
	static const struct mb_tracker_wish none = { .name = "none" };
	struct mb_source_options how = { config->algorithm, config->module, config->parts };
	uint8_t key[MB_KEY_BYTES];
	int r;

	*a = (struct mb_agent){ 0 };
	if (config->key_file) {
		r = read_key(config->key_file, key, err);
		if (r < 0)
			return r;
	}
	r = mb_source_open(config->source, &how, &a->source, err);
	if (r < 0)
		goto failed;
	/* After the source, which loads the module that some ask where memory is. */
	a->source->ops->describe(a->source, &a->info);
	r = mb_tracker_choose(wish ? wish : &none, &a->info, &a->tracker, err);
	if (r < 0)
		goto failed;
	r = mb_pass_init(&a->pass, a->source, a->tracker, config->bits, config->domain,
			 config->key_file ? key : NULL, err);
	if (r < 0)
		goto failed;
	a->pass.rehash.broken = broken_rules();
	explicit_bzero(key, sizeof(key));
	return 0;
failed:
	explicit_bzero(key, sizeof(key));
	mb_agent_close(a);
	return r;
}

int mb_agent_reload_key(struct mb_agent *a, const struct mb_agent_config *config,
			struct mb_err *err)
{
	uint8_t key[MB_KEY_BYTES];
	int r;

	if (!config->key_file)
		return 0;
	r = read_key(config->key_file, key, err);
	if (r == 0 && memcmp(key, a->pass.digester.key, sizeof(key)) != 0)
		r = mb_pass_rekey(&a->pass, key, err) < 0 ? -EXDEV : 1;
	explicit_bzero(key, sizeof(key));
	return r;
}

void mb_agent_close(struct mb_agent *a)
{
	mb_pass_deinit(&a->pass);
	explicit_bzero(&a->pass.digester, sizeof(a->pass.digester));
	if (a->tracker)
		a->tracker->ops->close(a->tracker);
	if (a->source)
		a->source->ops->close(a->source);
	*a = (struct mb_agent){ 0 };
}

int mb_agent_failed(const struct mb_err *err)
{
	mb_error("%s", err->text);
	return MB_EXIT_FAILED;
}
