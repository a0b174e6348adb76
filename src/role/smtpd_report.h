/* What a worker tells of itself: in the log, and to admin. */
#ifndef ROLE_SMTPD_REPORT_H
#define ROLE_SMTPD_REPORT_H

#include "io/disk.h"
#include "role/role.h"
#include "smtpd/smtpd.h"

/* `trouble`: spool_writer_trouble(), may be NULL. */
void smtpd_report_health(
	struct role *role, struct disk *spool, const char *trouble, enum spool_health health);

/* A JSON object, for `posternctl status`. */
void smtpd_report_figures(struct buf *out, uint8_t worker, const struct smtpd *smtpd,
	const struct spool_writer *writer);

#endif
