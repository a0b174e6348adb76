/* Ids of messages on the command line and on standard input. */
#include "ctl/queue.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define BLANKS " \t\r\n"

bool is_id(const char *text)
{
	uint64_t id;

	return strlen(text) == TEXT_ID_LENGTH && !text_parse_id(span_str(text), &id);
}

static json_t *read_ids(const struct ctl *ctl, int *code)
{
	size_t length;
	char *text = ctl_read_file(ctl, "-", &length), *save = NULL;
	json_t *ids = json_array();

	if (!text) {
		json_decref(ids);
		*code = EXIT_REFUSED;
		return NULL;
	}
	for (char *word = strtok_r(text, BLANKS, &save); word;
		word = strtok_r(NULL, BLANKS, &save)) {
		if (is_id(word)) {
			json_array_append_new(ids, json_string(word));
			continue;
		}
		/* One that is mistyped must not leave the others done. */
		*code = ctl_usage(ctl, "standard input, word %zu: no id (13 letters and digits)",
			json_array_size(ids) + 1);
		json_decref(ids);
		free(text);
		return NULL;
	}
	free(text);
	return ids;
}

json_t *queue_ids(const struct ctl *ctl, int from, int *code)
{
	*code = EXIT_DONE;
	if (ctl->count == from + 1 && strcmp(ctl->args[from], "-") == 0)
		return read_ids(ctl, code);
	for (int i = from; i < ctl->count; i++)
		if (!is_id(ctl->args[i]))
			return NULL;
	json_t *ids = json_array();

	for (int i = from; i < ctl->count; i++)
		json_array_append_new(ids, json_string(ctl->args[i]));
	return ids;
}
