/* The record that says where reports go (RFC 8460 section 3). */
#include "codec/tls_rpt.h"

#include "base/err.h"
#include "codec/address.h"
#include "codec/escape.h"
#include "codec/txt_record.h"

static const struct span mailto = {"mailto:", 7};
static const struct span https = {"https://", 8};

/* RFC 6068 section 2: what follows "?" are fields of the message, which are ours to write. */
static int take_mailto(struct span uri, struct arena *arena, struct tls_rpt_uri *out)
{
	struct span rest = span_skip(uri, mailto.n), text;
	struct address address;
	int err = escape_decode(span_of(rest.p, span_find(rest, '?')), '%', arena, &text);

	if (!err)
		err = address_parse_mailbox(text, arena, &address);
	if (!err)
		*out = (struct tls_rpt_uri){TLS_RPT_MAILTO, address.mailbox};
	return err;
}

static int take_https(struct span uri, struct tls_rpt_uri *out)
{
	struct span rest = span_skip(uri, https.n);

	if (!rest.n || rest.p[0] == '/' || span_find(uri, ' ') < uri.n)
		return ERR_SYNTAX;
	*out = (struct tls_rpt_uri){TLS_RPT_HTTPS, uri};
	return 0;
}

/* One URI of the list; what is none for us is left out. ERR_NOMEM. */
static int take_uri(struct span uri, struct arena *arena, struct tls_rpt_record *record)
{
	int err = ERR_UNSUPPORTED;

	if (record->count == TLS_RPT_URIS || uri.n > TLS_RPT_URI)
		return 0;
	if (span_starts_nocase(uri, mailto))
		err = take_mailto(uri, arena, &record->uris[record->count]);
	else if (span_starts_nocase(uri, https))
		err = take_https(uri, &record->uris[record->count]);
	record->count += !err;
	return err == ERR_NOMEM ? err : 0;
}

static int take_list(struct span list, struct arena *arena, struct tls_rpt_record *record)
{
	for (;;) {
		size_t comma = span_find(list, ',');
		struct span uri = span_trim(span_of(list.p, comma));

		/* Each has a scheme. */
		if (!uri.n || !span_find(uri, ':') || span_find(uri, ':') == uri.n)
			return ERR_SYNTAX;
		int err = take_uri(uri, arena, record);
		if (err)
			return err;
		if (comma == list.n)
			return 0;
		list = span_skip(list, comma + 1);
	}
}

int tls_rpt_find_record(
	const struct span *rdata, uint32_t count, struct arena *arena, struct tls_rpt_record *out)
{
	const struct span version = SPAN("v=TLSRPTv1");
	struct span text, rest, name, value, list = SPAN_NONE;
	struct tls_rpt_record record = {.count = 0};
	int err = txt_find(rdata, count, version, arena, &text);

	if (err)
		return err;
	if (!txt_has_version(text, version, &rest))
		return ERR_NOT_FOUND;
	while ((err = txt_next_field(&rest, &name, &value)) == 0)
		if (!list.n && span_equal(name, SPAN("rua")))
			list = value;
	if (err != ERR_NOT_FOUND || !list.n)
		return ERR_SYNTAX;
	err = take_list(list, arena, &record);
	if (!err)
		*out = record;
	return err;
}
