#include "queue/filter_node.h"

#include "base/check.h"
#include "base/err.h"

#define CLIENT_TEXT 64 /* bytes of an address as text */

/* What is known: three values, so that the envelope is read only where it decides. */
enum truth { FALSE, TRUE, UNKNOWN };

/* ---- texts ---------------------------------------------------------------------------------- */

/* "*" stands for any text; linear in practice and never more than pattern times text. */
static bool match_pattern(struct span pattern, struct span text, uint64_t *effort)
{
	size_t p = 0, t = 0, star = SIZE_MAX, back = 0;
	for (; t < text.n; ++*effort) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			back = t;
		} else if (p < pattern.n && ascii_lower(pattern.p[p]) == ascii_lower(text.p[t])) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++back;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

static bool contains(struct span text, struct span part, uint64_t *effort)
{
	for (size_t at = 0; at + part.n <= text.n; at++) {
		size_t i = 0;
		while (i < part.n && ascii_lower(text.p[at + i]) == ascii_lower(part.p[i]))
			i++;
		*effort += i + 1;
		if (i == part.n)
			return true;
	}
	return false;
}

/* Without its negation, which the caller applies to the whole. */
static bool match_text(const struct filter_node *term, struct span text, uint64_t *effort)
{
	++*effort;
	if (term->op == FILTER_CONTAINS || term->op == FILTER_NOT_CONTAINS)
		return contains(text, term->text, effort);
	return match_pattern(term->text, text, effort);
}

static bool match_number(const struct filter_node *term, uint64_t value)
{
	switch ((enum filter_op)term->op) {
	case FILTER_LESS: return value < term->number;
	case FILTER_GREATER: return value > term->number;
	case FILTER_AT_MOST: return value <= term->number;
	case FILTER_AT_LEAST: return value >= term->number;
	default: return value == term->number;
	}
}

static bool match_network(
	const struct filter_node *term, const struct netaddr *client, uint64_t *effort)
{
	if (term->op == FILTER_CONTAINS || term->op == FILTER_NOT_CONTAINS) {
		struct buf text;
		buf_init(&text, CLIENT_TEXT);
		if (client->family != NETADDR_NONE)
			netaddr_add_ip(&text, client);
		bool is = contains(buf_span(&text), term->text, effort);
		buf_done(&text);
		return is;
	}
	if (client->family != term->network.family)
		return false;
	unsigned whole = term->prefix / 8, rest = term->prefix % 8;
	if (memcmp(client->ip, term->network.ip, whole) != 0)
		return false;
	return !rest || (client->ip[whole] ^ term->network.ip[whole]) >> (8 - rest) == 0;
}

/* ---- terms ---------------------------------------------------------------------------------- */

/* Any of the unit's recipients will do. */
static bool match_rcpts(const struct filter_node *term, struct filter_subject *s)
{
	for (uint32_t i = 0; i < s->rcpt_count; i++) {
		struct span address = s->all_rcpts[s->rcpts[i]].address;
		if (term->key == FILTER_DOMAIN)
			address = envelope_domain(address);
		if (match_text(term, address, &s->effort))
			return true;
	}
	return false;
}

static bool term_needs_envelope(const struct filter_node *term, const struct filter_subject *s)
{
	return filter_keys[term->key].envelope || (term->key == FILTER_DOMAIN && !s->domain.n);
}

static bool match_known(const struct filter_node *term, struct filter_subject *s)
{
	switch ((enum filter_key)term->key) {
	case FILTER_ID: return s->id == term->number;
	case FILTER_STATE: return (uint64_t)s->state == term->number;
	case FILTER_SENDER: return match_text(term, s->sender, &s->effort);
	case FILTER_RECIPIENT: return match_rcpts(term, s);
	case FILTER_DOMAIN:
		return s->domain.n ? match_text(term, s->domain, &s->effort) : match_rcpts(term, s);
	case FILTER_TRANSPORT: return match_text(term, s->transport, &s->effort);
	case FILTER_DESTINATION:
		return match_text(term, s->next_hop.n ? s->next_hop : s->transport, &s->effort);
	case FILTER_CLIENT: return match_network(term, &s->client, &s->effort);
	case FILTER_USER: return match_text(term, s->user, &s->effort);
	case FILTER_AGE: return match_number(term, s->age_ms);
	case FILTER_SIZE: return match_number(term, s->size);
	case FILTER_ATTEMPTS: return match_number(term, s->attempts);
	case FILTER_PRIORITY: return s->priority == (term->number != 0);
	case FILTER_REASON: return match_text(term, s->reason, &s->effort);
	case FILTER_KEYS: break;
	}
	return false;
}

static enum truth match_term(const struct filter_node *term, struct filter_subject *s)
{
	if (!s->loaded && term_needs_envelope(term, s))
		return UNKNOWN;
	bool is = match_known(term, s);
	return is != filter_op_negates((enum filter_op)term->op) ? TRUE : FALSE;
}

/* Nodes come after those that they join, so one pass from the front needs no recursion. */
static enum truth match_tree(const struct filter *filter, struct filter_subject *s)
{
	uint8_t truth[FILTER_NODES] = {UNKNOWN};
	if (filter->root == FILTER_NONE)
		return TRUE;
	s->effort += filter->root + 1u;
	for (uint16_t i = 0; i <= filter->root; i++) {
		const struct filter_node *node = &filter->nodes[i];
		enum truth left = node->kind == FILTER_TERM ? UNKNOWN : truth[node->left];
		enum truth right = node->kind == FILTER_AND || node->kind == FILTER_OR
					   ? truth[node->right]
					   : UNKNOWN;
		switch ((enum filter_kind)node->kind) {
		case FILTER_TERM: truth[i] = match_term(node, s); break;
		case FILTER_NOT: truth[i] = left == UNKNOWN ? UNKNOWN : left == FALSE; break;
		case FILTER_AND:
			truth[i] = left == FALSE || right == FALSE ? FALSE : MAX(left, right);
			break;
		case FILTER_OR:
			truth[i] = left == TRUE || right == TRUE ? TRUE : MAX(left, right);
			break;
		}
	}
	return truth[filter->root];
}

bool filter_match(const struct filter *filter, struct filter_subject *s)
{
	enum truth truth = match_tree(filter, s);
	if (truth != UNKNOWN)
		return truth == TRUE;
	if (!s->error)
		s->error = s->load ? s->load(s) : ERR_NOT_FOUND;
	if (s->error)
		return false;
	s->loaded = true;
	return match_tree(filter, s) == TRUE;
}

bool filter_is_empty(const struct filter *filter)
{
	return filter->root == FILTER_NONE;
}

bool filter_has_bare_address(const struct filter *filter)
{
	return filter->bare_address;
}

bool filter_tells_recipients(const struct filter *filter, bool one_domain)
{
	for (uint16_t i = 0; i < filter->count; i++) {
		const struct filter_node *node = &filter->nodes[i];
		if (node->kind == FILTER_TERM &&
			(node->key == FILTER_RECIPIENT ||
				(node->key == FILTER_DOMAIN && !one_domain)))
			return true;
	}
	return false;
}

bool filter_needs_envelope(const struct filter *filter)
{
	for (uint16_t i = 0; i < filter->count; i++) {
		const struct filter_node *node = &filter->nodes[i];
		if (node->kind == FILTER_TERM &&
			(filter_keys[node->key].envelope || node->key == FILTER_DOMAIN))
			return true;
	}
	return false;
}

uint64_t filter_single_id(const struct filter *filter)
{
	uint16_t at = filter->root;
	/* down the left side of what is joined by AND, and to its right sides */
	while (at != FILTER_NONE) {
		const struct filter_node *node = &filter->nodes[at];
		const struct filter_node *term = node;
		if (node->kind == FILTER_AND)
			term = &filter->nodes[node->right];
		if (term->kind == FILTER_TERM && term->key == FILTER_ID && term->op == FILTER_EQUAL)
			return term->number;
		at = node->kind == FILTER_AND ? node->left : FILTER_NONE;
	}
	return 0;
}
