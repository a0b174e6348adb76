/* Prints a reference page: postern-reference postern.yaml.5 | postern-objects.5 */
#include "directory/reference.h"

#include <stdio.h>
#include <string.h>

int main(int count, char **words)
{
	struct buf page;

	if (count != 2)
		return 2;
	buf_init(&page, REFERENCE_BYTES);
	if (strcmp(words[1], "postern.yaml.5") == 0)
		reference_config(&page);
	else if (strcmp(words[1], "postern-objects.5") == 0)
		reference_objects(&page);
	else
		return 2;
	bool good = buf_ok(&page) && fwrite(page.p, 1, page.n, stdout) == page.n;
	buf_done(&page);
	return good ? 0 : 1;
}
