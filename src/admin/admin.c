#include "admin/core.h"
#include "admin/wipe.h"
#include "base/check.h"
#include "base/err.h"
#include "directory/check.h"
#include "route/relay.h"

#include <stdlib.h>
#include <unistd.h>

/* Who may relay without leave, and who is locked out: told again whenever it becomes another thing.
 */
static void warn_of_relaying(struct admin *admin)
{
	struct buf now;

	buf_init(&now, ADMIN_WARNINGS);
	relay_add_warnings(admin->snapshot, admin->config.config, &now);
	if (span_equal(buf_span(&now), buf_span(&admin->relay_warnings))) {
		buf_done(&now);
		return;
	}
	for (struct span rest = buf_span(&now); rest.n;) {
		size_t end = span_find(rest, '\n');

		log_write(admin->config.log, LOG_WARN, "who may relay should be looked at",
			LOG_SPAN("what", span_of(rest.p, end)));
		rest = span_skip(rest, end + 1);
	}
	buf_done(&admin->relay_warnings);
	admin->relay_warnings = now;
}

int admin_publish(struct admin *admin)
{
	struct snapshot *snapshot;
	int memfd;
	int err = directory_snapshot(admin->directory, &memfd);

	if (err)
		return err;
	int copy = dup(memfd);
	err = copy < 0 ? ERR_NOMEM : snapshot_open(copy, &snapshot);
	if (err) {
		close(memfd);
		return err;
	}
	if (admin->memfd >= 0)
		close(admin->memfd);
	admin->memfd = memfd;
	snapshot_release(&admin->snapshot);
	admin->snapshot = snapshot;
	admin->config.generation(
		admin->config.context, memfd, directory_generation(admin->directory));
	warn_of_relaying(admin);
	return 0;
}

int admin_publish_secrets(struct admin *admin, enum secret_kind kind, struct buf *why)
{
	int memfd;
	int err = directory_secrets_memfd(admin->directory, kind, &memfd, why);

	if (err)
		return err;
	if (admin->secrets[kind] >= 0)
		close(admin->secrets[kind]);
	admin->secrets[kind] = memfd;
	if (admin->config.secrets)
		admin->config.secrets(admin->config.context, kind, memfd);
	return 0;
}

/* What would otherwise be noticed by nobody but those who are refused. */
static void warn(void *context, const struct check_finding *finding)
{
	struct admin *admin = context;

	log_write(admin->config.log, LOG_WARN, "the directory should be changed",
		LOG_SPAN("about", finding->about), LOG_SPAN("what", finding->text));
}

int admin_new(const struct admin_config *config, struct admin **out, struct buf *why)
{
	struct admin *admin = calloc(1, sizeof(*admin));

	if (!admin)
		return ERR_NOMEM;
	wipe_json();
	admin->config = *config;
	admin->memfd = -1;
	for (int kind = 0; kind < SECRET_KINDS; kind++)
		admin->secrets[kind] = -1;
	list_init(&admin->doors);
	buf_init(&admin->relay_warnings, ADMIN_WARNINGS);
	int err = directory_open(config->directory_path, &admin->directory, why);
	for (int kind = 0; kind < SECRET_KINDS && !err; kind++)
		err = admin_publish_secrets(admin, (enum secret_kind)kind, why);
	if (!err) {
		err = admin_publish(admin);
		if (err)
			buf_printf(
				why, "the directory's snapshot cannot be made: %s", err_text(err));
	}
	if (err) {
		admin_free(&admin);
		return err;
	}
	if (directory_generation(admin->directory))
		check_postmaster(config->config, directory_objects(admin->directory), warn, admin);
	*out = admin;
	return 0;
}

void admin_free(struct admin **at)
{
	struct admin *admin = *at;

	if (!admin)
		return;
	*at = NULL;
	LIST_FOR_EACH(node, &admin->doors)
	door_free(CONTAINER_OF(node, struct door, node));
	directory_close(&admin->directory);
	buf_done(&admin->relay_warnings);
	snapshot_release(&admin->snapshot);
	if (admin->memfd >= 0)
		close(admin->memfd);
	for (int kind = 0; kind < SECRET_KINDS; kind++)
		if (admin->secrets[kind] >= 0)
			close(admin->secrets[kind]);
	free(admin);
}

int admin_generation(struct admin *admin, uint64_t *number)
{
	*number = directory_generation(admin->directory);
	return admin->memfd;
}

int admin_secrets(struct admin *admin, enum secret_kind kind)
{
	return admin->secrets[kind];
}
