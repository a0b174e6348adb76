#include "codec/mta_sts.h"

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "codec/address.h"
#include "codec/txt_record.h"

#define MAX_AGE_DIGITS 10 /* RFC 8461 section 3.2 */

/* ---- the record (section 3.1) ---------------------------------------------------------------- */

static const struct span version = {"v=STSv1", 7};

static bool id_valid(struct span id)
{
	for (size_t i = 0; i < id.n; i++) {
		char c = ascii_lower(id.p[i]);
		if ((c < 'a' || c > 'z') && (c < '0' || c > '9'))
			return false;
	}
	return id.n > 0 && id.n <= MTA_STS_ID;
}

/* sts-ext-value: no blank, no "=". */
static bool extension_valid(struct span value)
{
	return span_find(value, ' ') == value.n && span_find(value, '=') == value.n;
}

int mta_sts_record(struct span text, struct span *id)
{
	struct span rest, name, value, found = SPAN_NONE;
	int err;

	if (!txt_has_version(text, version, &rest))
		return ERR_NOT_FOUND;
	while ((err = txt_next_field(&rest, &name, &value)) == 0) {
		bool is_id = span_equal(name, SPAN("id"));
		if (is_id ? !id_valid(value) : !extension_valid(value))
			return ERR_SYNTAX;
		if (is_id && !found.n)
			found = value;
	}
	if (err != ERR_NOT_FOUND || !found.n)
		return ERR_SYNTAX;
	*id = found;
	return 0;
}

int mta_sts_find_record(
	const struct span *rdata, uint32_t count, struct arena *arena, struct span *id)
{
	struct span text;
	int err = txt_find(rdata, count, version, arena, &text);

	if (err)
		return err;
	/* A broken one is as good as none. */
	return mta_sts_record(text, id) == 0 ? 0 : ERR_NOT_FOUND;
}

/* ---- the policy (section 3.2) ---------------------------------------------------------------- */

/* While it is read. Of a field that is there twice the first one counts (section 3.2). */
struct reading {
	struct arena *arena;
	struct mta_sts_policy *out;
	bool has_version, has_mode, has_age;
};

static int take_version(struct reading *r, struct span value)
{
	if (!r->has_version && !span_equal(value, SPAN("STSv1")))
		return ERR_SYNTAX;
	r->has_version = true;
	return 0;
}

static int take_mode(struct reading *r, struct span value)
{
	static const struct span modes[] = {
		[MTA_STS_NONE] = {"none", 4},
		[MTA_STS_TESTING] = {"testing", 7},
		[MTA_STS_ENFORCE] = {"enforce", 7},
	};
	unsigned mode = 0;

	if (r->has_mode)
		return 0;
	while (mode < ARRAY_SIZE(modes) && !span_equal(value, modes[mode]))
		mode++;
	if (mode == ARRAY_SIZE(modes))
		return ERR_SYNTAX;
	r->out->mode = (enum mta_sts_mode)mode;
	r->has_mode = true;
	return 0;
}

static int take_age(struct reading *r, struct span value)
{
	uint64_t seconds = 0;

	if (r->has_age)
		return 0;
	if (value.n > MAX_AGE_DIGITS || text_parse_u64(value, UINT64_MAX, &seconds) != 0)
		return ERR_SYNTAX;
	/* Who wants more than the most gets the most: a policy is better than none. */
	r->out->max_age_s = (uint32_t)MIN(seconds, (uint64_t)MTA_STS_AGE_MOST);
	r->has_age = true;
	return 0;
}

static int take_mx(struct reading *r, struct span value)
{
	const struct span star = SPAN("*.");
	bool wild = span_starts_nocase(value, star);
	struct span name;

	if (r->out->mx_count == MTA_STS_MX)
		return ERR_LIMIT;
	int err = address_parse_domain(wild ? span_skip(value, star.n) : value, r->arena, &name);
	if (err)
		return err == ERR_NOMEM ? ERR_NOMEM : ERR_SYNTAX;
	if (wild) {
		char *pattern = arena_alloc(r->arena, star.n + name.n);
		if (!pattern)
			return ERR_NOMEM;
		memcpy(pattern, star.p, star.n);
		memcpy(pattern + star.n, name.p, name.n);
		name = span_of(pattern, star.n + name.n);
	}
	r->out->mx[r->out->mx_count++] = name;
	return 0;
}

/* Fields that are not known are ignored, but have to look like one. */
static int ignore(struct span key, struct span value)
{
	if (!txt_is_name(key) || !text_is_utf8(value))
		return ERR_SYNTAX;
	for (size_t i = 0; i < value.n; i++)
		if ((unsigned char)value.p[i] < ' ' || value.p[i] == 0x7f)
			return ERR_SYNTAX;
	return 0;
}

static int take_line(struct reading *r, struct span line)
{
	size_t colon = span_find(line, ':');

	if (colon == line.n)
		return ERR_SYNTAX;
	struct span key = span_of(line.p, colon), value = span_trim(span_skip(line, colon + 1));
	if (span_equal(key, SPAN("version")))
		return take_version(r, value);
	if (span_equal(key, SPAN("mode")))
		return take_mode(r, value);
	if (span_equal(key, SPAN("max_age")))
		return take_age(r, value);
	if (span_equal(key, SPAN("mx")))
		return take_mx(r, value);
	return ignore(key, value);
}

int mta_sts_parse(struct span body, struct arena *arena, struct mta_sts_policy *out)
{
	struct mta_sts_policy policy = {.mode = MTA_STS_NONE};
	struct reading r = {.arena = arena, .out = &policy};

	if (body.n > MTA_STS_POLICY)
		return ERR_LIMIT;
	while (body.n) {
		size_t end = span_find(body, '\n');
		struct span line = span_of(body.p, end);

		if (end < body.n && end && line.p[end - 1] == '\r')
			line.n--;
		/* An empty line is no field, but many files end with one. */
		int err = span_trim(line).n ? take_line(&r, line) : 0;
		if (err)
			return err;
		body = span_skip(body, end + 1);
	}
	if (!r.has_version || !r.has_mode || !r.has_age)
		return ERR_SYNTAX;
	if (!policy.mx_count && policy.mode != MTA_STS_NONE)
		return ERR_SYNTAX;
	*out = policy;
	return 0;
}

bool mta_sts_allows(const struct mta_sts_policy *policy, struct span host)
{
	/* What "*" stands for: exactly one label (RFC 6125 section 6.4.3). */
	struct span parent = host.n ? span_skip(host, span_find(host, '.') + 1) : host;
	bool has_label = host.n && host.p[0] != '.' && parent.n;

	for (uint32_t i = 0; i < policy->mx_count; i++) {
		struct span mx = policy->mx[i];
		bool wild = mx.n > 2 && mx.p[0] == '*';
		if (wild ? has_label && span_equal(parent, span_skip(mx, 2)) : span_equal(host, mx))
			return true;
	}
	return false;
}
