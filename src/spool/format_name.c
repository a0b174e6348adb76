/* The names of logs and body files, both ways. */
#include "spool/format.h"

#include "base/err.h"
#include "spool/spool.h"

#include <stdio.h>
#include <string.h>

/* `letter` of a worker's folder; delivery has one for all. */
static void dir_of(char *out, size_t room, char letter, uint8_t owner)
{
	if (owner == SPOOL_OWNER_DELIVERY)
		snprintf(out, room, "d");
	else
		snprintf(out, room, "%c%u", letter, owner);
}

void format_dir(char out[FORMAT_PATH], uint8_t owner)
{
	dir_of(out, FORMAT_PATH, 'w', owner);
}

void format_body_dir(char out[FORMAT_PATH], uint8_t owner)
{
	dir_of(out, FORMAT_PATH, 'b', owner);
}

void format_log_path(char out[FORMAT_PATH], uint8_t owner, uint32_t serial)
{
	char dir[FORMAT_PATH / 2];

	dir_of(dir, sizeof(dir), 'w', owner);
	snprintf(out, FORMAT_PATH, "%s/%08x.log", dir, serial);
}

void format_body_path(char out[FORMAT_PATH], uint8_t owner, uint32_t serial, uint32_t number)
{
	char dir[FORMAT_PATH / 4];

	dir_of(dir, sizeof(dir), 'b', owner);
	snprintf(out, FORMAT_PATH, "%s/%08x-%u.body", dir, serial, number);
}

static bool parse_digits(const char **at, unsigned base, size_t most, uint32_t *out)
{
	uint64_t value = 0;
	size_t n = 0;

	for (;; n++) {
		char c = (*at)[n];
		unsigned digit;
		if (c >= '0' && c <= '9')
			digit = (unsigned)(c - '0');
		else if (base == 16 && c >= 'a' && c <= 'f')
			digit = (unsigned)(c - 'a') + 10;
		else
			break;
		if (n == most)
			return false;
		value = value * base + digit;
	}
	if (n == 0 || value > UINT32_MAX)
		return false;
	*at += n;
	*out = (uint32_t)value;
	return true;
}

enum format_name format_parse_name(const char *name, uint32_t *out_serial, uint32_t *out_number)
{
	const char *at = name;
	uint32_t serial, number = 0;
	char canonical[FORMAT_PATH];

	/* 0 is no file's serial: it stands for "none" wherever one is named. */
	if (!parse_digits(&at, 16, 8, &serial) || serial == 0)
		return FORMAT_NAME_OTHER;
	bool body = *at == '-';
	if (body) {
		at++;
		if (!parse_digits(&at, 10, 10, &number))
			return FORMAT_NAME_OTHER;
		snprintf(canonical, sizeof(canonical), "%08x-%u.body", serial, number);
	} else {
		snprintf(canonical, sizeof(canonical), "%08x.log", serial);
	}
	if (strcmp(canonical, name) != 0)
		return FORMAT_NAME_OTHER;
	*out_serial = serial;
	*out_number = number;
	return body ? FORMAT_NAME_BODY : FORMAT_NAME_LOG;
}

enum format_dir format_parse_dir(const char *name, uint8_t *out_owner)
{
	const char *at = name + 1;
	uint32_t owner;
	char canonical[FORMAT_PATH];

	if (strcmp(name, "d") == 0) {
		*out_owner = SPOOL_OWNER_DELIVERY;
		return FORMAT_DIR_LOGS;
	}
	if ((name[0] != 'w' && name[0] != 'b') || !parse_digits(&at, 10, 3, &owner) ||
		owner >= SPOOL_WORKERS_MOST)
		return FORMAT_DIR_OTHER;
	dir_of(canonical, sizeof(canonical), name[0], (uint8_t)owner);
	if (strcmp(canonical, name) != 0)
		return FORMAT_DIR_OTHER;
	*out_owner = (uint8_t)owner;
	return name[0] == 'w' ? FORMAT_DIR_LOGS : FORMAT_DIR_BODIES;
}
