#include "sim_cert.h"

#include "base/check.h"

#include <string.h>

enum anchor { ANCHOR_NONE, ANCHOR_SYSTEM, ANCHOR_PRIVATE };

static const struct {
	const char *names[3];
	enum anchor anchor;
	bool expired;
} certs[CERTS] = {
	[CERT_SELF] = {{"hop.example"}, ANCHOR_NONE, false},
	[CERT_EVIL] = {{"mx.v.example", "mx1.s.example"}, ANCHOR_NONE, false},
	[CERT_ROGUE] = {{"mx.evil.example"}, ANCHOR_SYSTEM, false},
	[CERT_V] = {{"mx.v.example"}, ANCHOR_PRIVATE, false},
	[CERT_V_OLD] = {{"mx.v.example"}, ANCHOR_PRIVATE, true},
	[CERT_V_NEW] = {{"mx.v.example"}, ANCHOR_PRIVATE, false},
	[CERT_P] = {{"pinned.example"}, ANCHOR_NONE, true},
	[CERT_P_NEW] = {{"pinned.example"}, ANCHOR_NONE, false},
	[CERT_T1] = {{"mx1.t.example"}, ANCHOR_NONE, false},
	[CERT_T2] = {{"mx2.t.example"}, ANCHOR_NONE, false},
	[CERT_X1] = {{"mx1.x.example"}, ANCHOR_SYSTEM, false},
	[CERT_S1] = {{"mx1.s.example"}, ANCHOR_SYSTEM, false},
	[CERT_S2] = {{"mx2.s.example"}, ANCHOR_SYSTEM, false},
	[CERT_L] = {{"login.example"}, ANCHOR_NONE, false},
	[CERT_GATEWAY] = {{"gw.example.test"}, ANCHOR_SYSTEM, false},
	[CERT_CLIENT] = {{"client.example"}, ANCHOR_PRIVATE, false},
	[CERT_OTHER] = {{"other.example"}, ANCHOR_NONE, false},
};

/* The objects of the simulated gateway have the pins of some (sim_world.c): bytes all the same. */
void sim_cert_hash(enum sim_cert cert, uint8_t out[TLS_HASH_BYTES])
{
	memset(out, 0x40 + (int)cert, TLS_HASH_BYTES);
}

void sim_cert_key_hash(enum sim_cert cert, uint8_t out[TLS_HASH_BYTES])
{
	memset(out, 0x80 + (int)cert, TLS_HASH_BYTES);
}

const char *const *sim_cert_names(enum sim_cert cert)
{
	return certs[cert].names;
}

bool sim_cert_is_good(enum sim_cert cert)
{
	return certs[cert].anchor == ANCHOR_SYSTEM && !certs[cert].expired;
}

/* ".example.org" stands for one label more (io/tls.h). */
static bool is_name(const char *name, struct span wanted)
{
	const char *rest = wanted.n && wanted.p[0] == '.' ? strchr(name, '.') : name;

	return rest && span_equal_nocase(span_str(rest), wanted);
}

bool sim_cert_has_name(enum sim_cert cert, struct span name)
{
	for (const char *const *own = certs[cert].names; *own; own++)
		if (is_name(*own, name))
			return true;
	return false;
}

static bool has_any_name(enum sim_cert cert, const struct tls_client *want)
{
	for (size_t i = 0; i < want->name_count; i++)
		if (sim_cert_has_name(cert, want->names[i]))
			return true;
	return false;
}

static enum tls_failure check_chain(enum sim_cert cert, const struct tls_client *want)
{
	enum anchor anchor =
		span_equal(want->ca_pem, SPAN(CERT_PRIVATE_CA)) ? ANCHOR_PRIVATE : ANCHOR_SYSTEM;

	if (certs[cert].anchor != anchor)
		return TLS_UNTRUSTED;
	if (certs[cert].expired)
		return TLS_EXPIRED;
	return has_any_name(cert, want) ? TLS_FINE : TLS_NAME;
}

static bool is_hash(enum sim_cert cert, const uint8_t *bytes)
{
	uint8_t whole[TLS_HASH_BYTES], key[TLS_HASH_BYTES];

	sim_cert_hash(cert, whole);
	sim_cert_key_hash(cert, key);
	return memcmp(bytes, whole, sizeof(whole)) == 0 || memcmp(bytes, key, sizeof(key)) == 0;
}

/* Such as the world has: the end's own certificate or key, by SHA-256. */
static enum tls_failure check_tlsa(enum sim_cert cert, const struct tls_client *want)
{
	for (size_t i = 0; i < want->tlsa_count; i++) {
		const struct tls_tlsa *tlsa = &want->tlsa[i];

		CHECK(tlsa->usage >= 2);
		if (tlsa->usage == 3 && tlsa->type == 1 && tlsa->data.n == TLS_HASH_BYTES &&
			is_hash(cert, (const uint8_t *)tlsa->data.p))
			return TLS_FINE;
	}
	return TLS_NO_MATCH;
}

enum tls_failure sim_cert_check(enum sim_cert cert, const struct tls_client *want)
{
	switch (want->check) {
	case TLS_CHECK_NOTHING: return TLS_FINE;
	case TLS_CHECK_CHAIN: return check_chain(cert, want);
	case TLS_CHECK_PINS:
		for (size_t i = 0; i < want->pin_count; i++)
			if (is_hash(cert, want->pins[i]))
				return TLS_FINE;
		return TLS_PIN;
	case TLS_CHECK_DANE: break;
	}
	return check_tlsa(cert, want);
}
