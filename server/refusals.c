// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/refusals.h"

const char *mb_refused_for_name(enum mb_refused_for reason)
{
	static const char *const names[MB_FOR_END] = {
		[MB_FOR_NO_CERTIFICATE] = "no_certificate",
		[MB_FOR_UNKNOWN_CA] = "unknown_ca",
		[MB_FOR_EXPIRED] = "expired",
		[MB_FOR_REVOKED] = "revoked",
		[MB_FOR_NOT_TLS13] = "not_tls13",
		[MB_FOR_BAD_CERTIFICATE] = "bad_certificate",
		[MB_FOR_BROKEN_HANDSHAKE] = "broken_handshake",
		[MB_FOR_OTHER_VM] = "other_vm",
		[MB_FOR_TOO_MANY] = "too_many_connections",
		[MB_FOR_STORE] = "not_stored",
		[MB_FOR_QUOTA + MB_QUOTA_MB_PER_HOUR] = "quota_mb_per_hour",
		[MB_FOR_QUOTA + MB_QUOTA_MB_PER_DAY] = "quota_mb_per_day",
		[MB_FOR_QUOTA + MB_QUOTA_FRAMES_PER_MINUTE] = "quota_frames_per_minute",
		[MB_FOR_QUOTA + MB_QUOTA_VMS] = "quota_vms",
		[MB_FOR_QUOTA + MB_QUOTA_SESSIONS] = "quota_sessions",
		[MB_FOR_API_STRANGER] = "api_stranger",
		[MB_FOR_API_ROLE] = "api_role",
	};

	return names[reason];
}

enum mb_refused_for mb_refused_for_fault(enum mb_tls_fault fault)
{
	switch (fault) {
	case MB_TLS_NO_CERTIFICATE:
		return MB_FOR_NO_CERTIFICATE;
	case MB_TLS_UNKNOWN_CA:
		return MB_FOR_UNKNOWN_CA;
	case MB_TLS_EXPIRED:
		return MB_FOR_EXPIRED;
	case MB_TLS_REVOKED:
		return MB_FOR_REVOKED;
	case MB_TLS_NOT_TLS13:
		return MB_FOR_NOT_TLS13;
	case MB_TLS_BAD_CERTIFICATE:
		return MB_FOR_BAD_CERTIFICATE;
	case MB_TLS_BROKEN:
		break;
	}
	return MB_FOR_BROKEN_HANDSHAKE;
}
