#include "ctl/ctl.h"

#include "base/err.h"
#include "io/disk_posix.h"
#include "spool/spool.h"

#include <stdio.h>
#include <stdlib.h>

static void report(void *arg, const char *line)
{
	const struct ctl *ctl = arg;

	if (ctl->json)
		return;
	show_text(line, false);
	putchar('\n');
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
		return ctl_usage("spool verify is all that there is");
	if (ctl_config(ctl))
		return EXIT_REFUSED;
	char path[4096];
	snprintf(path, sizeof(path), "%.*s", (int)ctl->config->spool.n, ctl->config->spool.p);
	int err = disk_posix_new(path, &disk);
	if (err)
		return ctl_refuse("%s: %s%s", path, err_text(err), advice(err));
	err = spool_verify(disk, report, ctl, &result);
	disk_posix_free(&disk);
	if (err)
		return ctl_refuse("%s: %s%s", path, err_text(err), advice(err));
	printf(ctl->json ? "{\"files\": %llu, \"messages\": %llu, \"live\": %llu, \"done\": %llu, "
			   "\"damaged\": %llu, \"torn_tails\": %llu}\n"
			 : "%llu files, %llu messages: %llu live, %llu done, %llu damaged; %llu "
			   "torn tails\n",
		(unsigned long long)result.files, (unsigned long long)result.messages,
		(unsigned long long)result.live, (unsigned long long)result.done,
		(unsigned long long)result.damaged, (unsigned long long)result.torn_tails);
	return result.damaged ? EXIT_REFUSED : EXIT_DONE;
}
