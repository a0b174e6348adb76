#include "smtpd/smtpd.h"

#include "base/check.h"

const char *smtpd_refusal_name(enum smtpd_refusal refusal)
{
	static const char *const names[SMTPD_REFUSALS] = {
		[SMTPD_REFUSED_CONNECTION] = "connection",
		[SMTPD_REFUSED_ABUSE] = "abuse",
		[SMTPD_REFUSED_TIMEOUT] = "timeout",
		[SMTPD_REFUSED_SENDER] = "sender",
		[SMTPD_REFUSED_RECIPIENT] = "recipient",
		[SMTPD_REFUSED_SIZE] = "size",
		[SMTPD_REFUSED_CONTENT] = "content",
		[SMTPD_REFUSED_LOOP] = "loop",
		[SMTPD_REFUSED_TLS] = "tls",
		[SMTPD_REFUSED_AUTH] = "auth",
		[SMTPD_REFUSED_PROXY] = "proxy",
		[SMTPD_REFUSED_RESOURCES] = "resources",
	};

	CHECK((unsigned)refusal < SMTPD_REFUSALS);
	return names[refusal];
}
