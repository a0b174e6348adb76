/* The attributes of SCRAM's messages (RFC 5802 section 7). */
#include "base/base64.h"
#include "base/err.h"
#include "base/text.h"
#include "codec/fixed_buf.h"
#include "codec/scram_private.h"

int scram_well_formed(struct span message)
{
	if (message.n > SCRAM_MESSAGE)
		return ERR_LIMIT;
	return message.n && text_is_utf8(message) && span_find(message, '\0') == message.n
		       ? 0
		       : ERR_SYNTAX;
}

bool scram_next(struct span *rest, char *name, struct span *value)
{
	size_t end = span_find(*rest, ',');
	char letter = end ? ascii_lower(rest->p[0]) : '\0';

	if (end < 3 || rest->p[1] != '=' || letter < 'a' || letter > 'z')
		return false;
	/* A comma promises another one. */
	if (end + 1 == rest->n)
		return false;
	*name = rest->p[0];
	*value = span_of(rest->p + 2, end - 2);
	*rest = span_skip(*rest, end + 1);
	return true;
}

int scram_extensions(struct span rest)
{
	struct span value;
	char name;

	while (rest.n) {
		if (!scram_next(&rest, &name, &value))
			return ERR_SYNTAX;
		if (name == 'm')
			return ERR_UNSUPPORTED;
	}
	return 0;
}

bool scram_decode(struct span text, uint8_t *bytes, size_t n)
{
	struct buf out = fixed_buf(bytes, n);

	return base64_decode(text, &out) && out.n == n;
}

void scram_add_name(struct buf *out, struct span name)
{
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == ',')
			buf_add_str(out, "=2C");
		else if (name.p[i] == '=')
			buf_add_str(out, "=3D");
		else
			buf_add_char(out, name.p[i]);
	}
}

void scram_add_binding(struct buf *out, struct span gs2, const uint8_t *exporter)
{
	char bytes[SCRAM_MESSAGE + SCRAM_HASH];
	struct buf input = fixed_buf(bytes, sizeof(bytes));

	buf_add_span(&input, gs2);
	if (exporter)
		buf_add(&input, exporter, SCRAM_HASH);
	base64_add(out, buf_span(&input));
	out->overflow |= !buf_ok(&input);
}

int scram_auth_message(struct span first_bare, struct span server_first, struct span without_proof,
	struct arena *arena, struct span *out)
{
	size_t n = first_bare.n + 1 + server_first.n + 1 + without_proof.n;
	void *memory = arena_alloc(arena, n);

	if (!memory)
		return ERR_NOMEM;
	struct buf text = fixed_buf(memory, n);
	buf_add_span(&text, first_bare);
	buf_add_char(&text, ',');
	buf_add_span(&text, server_first);
	buf_add_char(&text, ',');
	buf_add_span(&text, without_proof);
	*out = buf_span(&text);
	return 0;
}
