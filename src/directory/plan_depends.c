/* What mail that waits goes by, and a plan takes away. */
#include "base/check.h"
#include "directory/objects_inner.h"

#define TERM_BYTES 64u /* of a term, but for names */

/* A name may be in the filter twice. */
static bool room_for_one(struct plan_depends *out, struct span name)
{
	if (out->shown < PLAN_DEPENDS_MOST &&
		out->filter.n + 2 * name.n + TERM_BYTES <= PLAN_DEPENDS_BYTES) {
		out->shown++;
		return true;
	}
	out->more++;
	return false;
}

/* Values of canonical names have neither quotes nor backslashes. */
static void add_term(struct buf *out, const char *key, struct span value)
{
	buf_printf(out, "%s=\"%.*s\"", key, (int)value.n, value.p);
}

static void begin(struct plan_depends *out, const char *kind, struct span name)
{
	if (out->filter.n) {
		buf_add_str(&out->filter, " or ");
		buf_add_str(&out->names, ", ");
	}
	struct plan_depends_part *part = &out->parts[out->shown - 1];

	part->filter = out->filter.n;
	part->name = out->names.n;
	buf_printf(&out->names, "%s %.*s", kind, (int)name.n, name.p);
	part->name_end = out->names.n;
}

static void end(struct plan_depends *out)
{
	out->parts[out->shown - 1].filter_end = out->filter.n;
}

static void add_one(struct plan_depends *out, const char *kind, struct span name)
{
	if (!room_for_one(out, name))
		return;
	begin(out, kind, name);
	add_term(&out->filter, kind, name);
	end(out);
}

/* By the domain first: only its mail has to be looked into. */
static void add_account(struct plan_depends *out, struct span address)
{
	if (!room_for_one(out, address))
		return;
	begin(out, "account", address);
	buf_add_char(&out->filter, '(');
	add_term(&out->filter, "domain", span_skip(address, span_find(address, '@') + 1));
	buf_add_char(&out->filter, ' ');
	add_term(&out->filter, "recipient", address);
	buf_add_char(&out->filter, ')');
	end(out);
}

/* Mail that left by a transport would now need accounts; or mail for one domain is another one's.
 */
static bool means_other(const struct change *change)
{
	const struct object_domain *before = object_domain(change->before);
	const struct object_domain *after = object_domain(change->after);

	return (after->mailboxes && !before->mailboxes) ||
	       (after->alias_of.n && !span_equal(after->alias_of, before->alias_of));
}

/* Unset, and the transport still there: of one that goes, its own change speaks. */
static void add_default(
	struct plan_depends *out, const struct plan *plan, const struct change *change)
{
	struct span old =
		change->before ? object_settings(change->before)->default_transport : SPAN_NONE;

	if (old.n && !objects_default_transport(plan->next).n &&
		objects_find(plan->next, OBJECT_TRANSPORT, old))
		add_one(out, "transport", old);
}

static void add_change(
	struct plan_depends *out, const struct plan *plan, const struct change *change)
{
	switch (change->kind) {
	case OBJECT_TRANSPORT:
		if (!change->after)
			add_one(out, "transport", change->before->name);
		break;
	case OBJECT_DOMAIN:
		if (change->before && (!change->after || means_other(change)))
			add_one(out, "domain", change->before->name);
		break;
	case OBJECT_ACCOUNT:
		if (!change->after)
			add_account(out, change->before->name);
		break;
	case OBJECT_SETTINGS: add_default(out, plan, change); break;
	default: break;
	}
}

void plan_depends(const struct plan *plan, struct plan_depends *out)
{
	out->shown = 0;
	out->more = 0;
	buf_init(&out->filter, PLAN_DEPENDS_BYTES);
	buf_init(&out->names, PLAN_DEPENDS_BYTES);
	for (size_t i = 0; i < plan->count; i++)
		add_change(out, plan, &plan->changes[i]);
}

struct span plan_depends_filter(const struct plan_depends *depends, uint32_t which)
{
	const struct plan_depends_part *part = &depends->parts[which];

	CHECK(which < depends->shown);
	return span_of(depends->filter.p + part->filter, part->filter_end - part->filter);
}

struct span plan_depends_name(const struct plan_depends *depends, uint32_t which)
{
	const struct plan_depends_part *part = &depends->parts[which];

	CHECK(which < depends->shown);
	return span_of(depends->names.p + part->name, part->name_end - part->name);
}

void plan_depends_done(struct plan_depends *depends)
{
	buf_done(&depends->filter);
	buf_done(&depends->names);
}
