/* Lines of a file of accounts: what is taken is what the directory takes, and no line is more than
 * its bytes. The first byte says which format. */
#include "admin/import.h"
#include "base/check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char memory[SECRET_BYTES];
	struct buf verifiers = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};
	struct import_account account = {0};
	struct password_verifiers parsed;
	const char *why = NULL;

	if (!n)
		return 0;
	char *line = malloc(n);
	if (!line)
		return 0;
	memcpy(line, data + 1, n - 1);
	switch (import_read((enum import_format)(data[0] % (IMPORT_DOVECOT + 1)),
		span_of(line, n - 1), &account, &verifiers, &why)) {
	case IMPORT_ACCOUNT:
		CHECK(account.user.n && account.user.n <= IMPORT_USER);
		CHECK(verifiers_parse(buf_span(&verifiers), &parsed) == 0);
		break;
	case IMPORT_WRONG: CHECK(why && *why); break;
	case IMPORT_NOTHING:
	case IMPORT_LOCKED: break;
	}
	free(line);
	return 0;
}
