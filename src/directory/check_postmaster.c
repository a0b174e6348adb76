/* Is there somebody who gets the postmaster's mail (RFC 5321 section 4.5.1)? */
#include "base/buf.h"
#include "directory/check.h"
#include "directory/names.h"

#define TEXT_BYTES    2048u
#define DOMAINS_NAMED 4u /* in the one finding */

#define LOCAL_PART "postmaster@"

static bool is_taken(const struct objects *objects, struct span address)
{
	return objects_find(objects, OBJECT_ACCOUNT, address) ||
	       objects_find(objects, OBJECT_ALIAS, address);
}

/* Such a domain takes mail for accounts and aliases only. */
static bool lacks_account(const struct objects *objects, struct span domain)
{
	char address[sizeof(LOCAL_PART) + NAME_DOMAIN_BYTES];
	size_t n = sizeof(LOCAL_PART) - 1;

	if (domain.n > NAME_DOMAIN_BYTES)
		return false;
	memcpy(address, LOCAL_PART, n);
	memcpy(address + n, domain.p, domain.n);
	return !is_taken(objects, span_of(address, n + domain.n));
}

/* The first few names, and how many there are. */
struct named {
	struct buf list;
	size_t count;
};

static void name_one(struct named *named, struct span domain)
{
	if (named->count++ >= DOMAINS_NAMED)
		return;
	if (named->list.n)
		buf_add_str(&named->list, ", ");
	buf_add_span(&named->list, domain);
}

static void find_refusing(
	const struct config *config, const struct objects *objects, struct named *out)
{
	struct span hostname = config ? config->hostname : SPAN_NONE;
	const struct object *own = objects_find(objects, OBJECT_DOMAIN, hostname);

	if (hostname.n && (!own || object_domain(own)->mailboxes) &&
		lacks_account(objects, hostname))
		name_one(out, hostname);
	for (size_t i = 0; i < objects_count(objects, OBJECT_DOMAIN); i++) {
		const struct object *domain = objects_at(objects, OBJECT_DOMAIN, i);

		if (object_domain(domain)->mailboxes && !span_equal(domain->name, hostname) &&
			lacks_account(objects, domain->name))
			name_one(out, domain->name);
	}
}

static void check_unset(const struct config *config, const struct objects *objects, struct buf *out)
{
	struct named named = {.count = 0};

	buf_init(&named.list, TEXT_BYTES);
	find_refusing(config, objects, &named);
	if (named.count) {
		buf_add_str(out, "is not set, and ");
		buf_add_span(out, buf_span(&named.list));
		if (named.count > DOMAINS_NAMED)
			buf_printf(out, " and %zu more", named.count - DOMAINS_NAMED);
		buf_printf(out,
			" %s no such account: mail to postmaster there is refused, which RFC "
			"5321 section 4.5.1 forbids; set postmaster to the address that is to get "
			"it",
			named.count > 1 ? "have" : "has");
	}
	buf_done(&named.list);
}

/* It may lead to one of our own domains, where its account is missing. */
static void check_set(const struct config *config, const struct objects *objects,
	struct span address, struct buf *out)
{
	char lower[NAME_LOCAL_BYTES + 1 + NAME_DOMAIN_BYTES];
	size_t at = address.n;

	while (at && address.p[at - 1] != '@')
		at--;
	struct span domain = span_skip(address, at);
	const struct object *own = objects_find(objects, OBJECT_DOMAIN, domain);
	bool here = own ? object_domain(own)->mailboxes
			: config && span_equal(domain, config->hostname);

	if (!here)
		return;
	if (address.n <= sizeof(lower)) {
		for (size_t i = 0; i < address.n; i++)
			lower[i] = ascii_lower(address.p[i]);
		if (is_taken(objects, span_of(lower, address.n)))
			return;
	}
	buf_add_str(out, "is set to ");
	buf_add_span(out, address);
	buf_add_str(out, ", which is no account here: its mail is refused; add the account, or set "
			 "another address");
}

void check_postmaster(const struct config *config, const struct objects *objects,
	void (*found)(void *context, const struct check_finding *finding), void *context)
{
	struct span address = objects_postmaster(objects);
	struct buf text;

	buf_init(&text, TEXT_BYTES);
	if (address.n)
		check_set(config, objects, address, &text);
	else
		check_unset(config, objects, &text);
	if (text.n) {
		struct check_finding finding = {CHECK_WARNING, SPAN("postmaster"), buf_span(&text)};
		found(context, &finding);
	}
	buf_done(&text);
}
