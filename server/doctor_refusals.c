// SPDX-License-Identifier: GPL-2.0-or-later
/* What mends a refusal, by its reason. */
#include <string.h>

#include "server/doctor.h"

static const char *const by_reason[MB_FOR_QUOTA] = {
	[MB_FOR_NO_CERTIFICATE] = "mbctl pki agent NAME --vm %s; mbagent run --tls-cert NAME.pem",
	[MB_FOR_UNKNOWN_CA] = "mbctl pki agent NAME --vm %s, with --dir of the CA that mbserver "
			      "--tls-ca names; mbagent run --tls-cert NAME.pem",
	[MB_FOR_EXPIRED] =
		"date (is the clock right, here and there?); mbctl pki agent NAME --vm %s "
		"--out NEW.pem, in place of the old one; restart the agent",
	[MB_FOR_REVOKED] = "mbctl pki agent NAME --vm %s, if it was not revoked for good",
	[MB_FOR_NOT_TLS13] = "mbagent run --tls-cert NAME.pem, if it talks in clear; this server "
			     "speaks TLS 1.3 only",
	[MB_FOR_BAD_CERTIFICATE] = "mbctl pki agent NAME --vm %s; mbagent run --tls-cert NAME.pem",
	[MB_FOR_BROKEN_HANDSHAKE] =
		"if it is an agent: mbagent run --tls-cert NAME.pem; and mbctl pki server must "
		"name the address that it has in --server",
	[MB_FOR_OTHER_VM] = "mbctl pki agent NAME --vm %s, and --vm of all else that it serves",
	[MB_FOR_TOO_MANY] = "mbserver --max-agents N, with more than now",
	[MB_FOR_STORE] = "df -h of the database's folder; journalctl -u mbserver",
};

static const char *const by_code[] = {
	[MB_REFUSED_VERSION] = "mbagent --version; mbserver --version: update the older one",
	[MB_REFUSED_IDENTITY] = "mbctl key id FILE (the agent's --key, of VM %s): it must be the "
				"domain's; mbctl key rotate changes that",
	[MB_REFUSED_BUSY] = "systemctl stop mbagent@%s on one of the two",
	[MB_REFUSED_MESSAGE] = "mbagent --version; mbserver --version; is the line shared?",
	[MB_REFUSED_SERVER] = "journalctl -u mbserver",
	[MB_REFUSED_RIGHT] = "mbctl pki agent NAME --vm %s",
};

/* `text` with the VM in place of its one "%s". */
static void put(struct mb_finding *f, const char *text, const char *vm)
{
	const char *at = strstr(text, "%s");

	if (at)
		mb_finding_fix(f, "%.*s%s%s", (int)(at - text), text, *vm ? vm : "VM", at + 2);
	else
		mb_finding_fix(f, "%s", text);
}

void mb_diagnosis_fix_refusal(struct mb_finding *f, const struct mb_contact *c)
{
	if (c->why >= MB_FOR_QUOTA)
		mb_finding_fix(f, "mbserver --quota %s=N, with more than now (docs/faults.md)",
			       mb_quota_name((enum mb_quota_kind)(c->why - MB_FOR_QUOTA)));
	else if (c->why >= 0 && by_reason[c->why])
		put(f, by_reason[c->why], c->vm);
	else if ((size_t)c->code < sizeof(by_code) / sizeof(by_code[0]) && by_code[c->code])
		put(f, by_code[c->code], c->vm);
}
