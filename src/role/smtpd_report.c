#include "role/smtpd_report.h"

#include "base/json_write.h"
#include "io/room.h"

/* A disk with some space left is no full one to who looks at it. */
static void add_needs(const struct role *role, struct disk *spool, struct buf *why)
{
	uint64_t free_bytes, needs = role->config->segment_bytes;

	if (disk_free_bytes(spool, &free_bytes) != 0 || free_bytes >= needs)
		return;
	buf_add_str(why, " for the next file, which needs ");
	room_add_size(why, needs);
	buf_add_str(why, ": ");
	room_add_size(why, free_bytes);
	buf_add_str(why, " are free; see storage.segment-size");
}

void smtpd_report_health(
	struct role *role, struct disk *spool, const char *trouble, enum spool_health health)
{
	static const char *const words[] = {"well",
		"full: mail is refused with 452, new connections with 421, until there is space",
		("sick: mail is refused with 451, new connections with 421, until a file can be "
		 "written again")};
	struct buf why;

	buf_init(&why, 512);
	buf_add_str(&why, trouble ? trouble : "");
	if (health == SPOOL_FULL)
		add_needs(role, spool, &why);
	log_write(role->log, health == SPOOL_WELL ? LOG_INFO : LOG_ERROR,
		"the spool's health changed", LOG_STR("spool", words[health]),
		LOG_SPAN("why", buf_span(&why)));
	buf_done(&why);
}

void smtpd_report_figures(struct buf *out, uint8_t worker, const struct smtpd *smtpd,
	const struct spool_writer *writer)
{
	static const char *const health[] = {
		[SPOOL_WELL] = "well", [SPOOL_FULL] = "full", [SPOOL_SICK] = "sick"};
	struct smtpd_figures f;
	struct spool_figures w;
	struct json_write json;

	smtpd_figures(smtpd, &f);
	spool_writer_figures(writer, &w);
	json_write_init(&json, out);
	json_open_object(&json, NULL);
	json_put_u64(&json, "worker", worker);
	json_put_u64(&json, "connections", f.connections);
	json_put_u64(&json, "sessions", f.sessions_now);
	json_put_u64(&json, "messages", f.messages);
	json_put_u64(&json, "recipients", f.recipients);
	json_put_u64(&json, "bytes", f.bytes);
	json_put_u64(&json, "tls", f.tls);
	json_put_u64(&json, "tls_resumed", f.tls_resumed);
	json_put_u64(&json, "logins", f.logins);
	json_open_object(&json, "refused");
	for (unsigned i = 0; i < SMTPD_REFUSALS; i++)
		json_put_u64(&json, smtpd_refusal_name(i), f.refused[i]);
	json_close_object(&json);
	json_open_object(&json, "spool");
	json_put_str(&json, "health", health[spool_writer_health(writer)]);
	json_put_u64(&json, "syncs", w.syncs);
	json_put_u64(&json, "sync_ns", w.sync_ns);
	json_put_u64(&json, "batches", w.batches);
	json_put_u64(&json, "bytes", w.bytes_written);
	json_close_object(&json);
	json_close_object(&json);
}
