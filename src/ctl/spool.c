#include "ctl/ctl.h"

#include "base/err.h"
#include "io/disk_posix.h"
#include "spool/spool.h"

#include <stdio.h>
#include <stdlib.h>

struct report {
	const struct ctl *ctl;
	json_t *findings;
};

static void report(void *arg, const char *line)
{
	const struct report *report = arg;

	if (report->ctl->json) {
		json_array_append_new(report->findings, json_string(line));
		return;
	}
	show_text(line, false);
	putchar('\n');
}

static void show_result(const struct report *report, const struct spool_verify_result *result)
{
	if (report->ctl->json) {
		json_t *reply = json_pack("{sI, sI, sI, sI, sI, sI, sO}", "files",
			(json_int_t)result->files, "messages", (json_int_t)result->messages, "live",
			(json_int_t)result->live, "done", (json_int_t)result->done, "damaged",
			(json_int_t)result->damaged, "torn_tails", (json_int_t)result->torn_tails,
			"findings", report->findings);

		show_json(report->ctl, reply);
		json_decref(reply);
		return;
	}
	printf("%llu files, %llu messages: %llu live, %llu done, %llu damaged; %llu torn tails\n",
		(unsigned long long)result->files, (unsigned long long)result->messages,
		(unsigned long long)result->live, (unsigned long long)result->done,
		(unsigned long long)result->damaged, (unsigned long long)result->torn_tails);
}

static const char *advice(int err)
{
	if (err == ERR_DENIED)
		return "; run it as root (sudo), or as the user that posternd was started by";
	return err == ERR_NOT_FOUND
		       ? "; posternd makes it when it is started with this start file, or "
			 "name the right file with -c"
		       : "";
}

int ctl_spool(struct ctl *ctl)
{
	struct spool_verify_result result = {0};
	struct disk *disk;

	if (!ctl->count || strcmp(ctl->args[0], "verify") != 0 || ctl->count != 1)
		return ctl_usage(ctl, "spool verify is all that there is");
	if (ctl_config(ctl))
		return EXIT_REFUSED;
	char path[4096];
	snprintf(path, sizeof(path), "%.*s", (int)ctl->config->spool.n, ctl->config->spool.p);
	int err = disk_posix_new(path, &disk);
	if (err)
		return ctl_refuse(ctl, "%s: %s%s", path, err_text(err), advice(err));
	struct report to = {ctl, json_array()};
	err = spool_verify(disk, report, &to, &result);
	disk_posix_free(&disk);
	if (err)
		json_decref(to.findings);
	if (err)
		return ctl_refuse(ctl, "%s: %s%s", path, err_text(err), advice(err));
	show_result(&to, &result);
	json_decref(to.findings);
	return result.damaged ? EXIT_REFUSED : EXIT_DONE;
}
