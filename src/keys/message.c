#include "keys/message.h"

#include "base/check.h"
#include "base/err.h"
#include "keys/limits.h"

/* ---- passwords ------------------------------------------------------------------------------ */

void keys_put_query(struct buf *out, const struct auth_query *query)
{
	buf_put_u8(out, (uint8_t)query->step);
	buf_put_u8(out, query->client.family);
	buf_add(out, query->client.ip, sizeof(query->client.ip));
	buf_put_bytes16(out, query->user);
	buf_put_bytes16(out, query->password);
	buf_put_bytes16(out, query->auth_message);
	buf_add(out, query->proof, sizeof(query->proof));
}

static bool is_address(const struct netaddr *a)
{
	return a->family == NETADDR_V4 || a->family == NETADDR_V6 || a->family == NETADDR_NONE;
}

int keys_get_query(struct span bytes, struct auth_query *out)
{
	struct cursor in = cursor_of(bytes);
	struct auth_query query = {.step = cursor_u8(&in)};

	query.client.family = cursor_u8(&in);
	struct span ip = cursor_bytes(&in, sizeof(query.client.ip));

	query.user = cursor_bytes16(&in);
	query.password = cursor_bytes16(&in);
	query.auth_message = cursor_bytes16(&in);
	struct span proof = cursor_bytes(&in, sizeof(query.proof));
	if (!cursor_ok(&in) || cursor_left(&in) || query.step > AUTH_SCRAM_PROOF ||
		!is_address(&query.client) || !ip.n || !proof.n || query.user.n > AUTH_USER ||
		query.password.n > AUTH_PASSWORD || query.auth_message.n > KEYS_AUTH_MESSAGE)
		return ERR_CORRUPT;
	memcpy(query.client.ip, ip.p, ip.n);
	memcpy(query.proof, proof.p, proof.n);
	*out = query;
	return 0;
}

void keys_put_answer(struct buf *out, const struct auth_answer *answer)
{
	CHECK(answer->salt_bytes <= SCRAM_SALT_MOST);
	buf_put_u8(out, (uint8_t)answer->result);
	buf_put_u64(out, answer->delay_ms);
	buf_put_bytes16(out, answer->account);
	buf_put_u32(out, answer->iterations);
	buf_put_bytes16(out, span_of(answer->salt, answer->salt_bytes));
	buf_add(out, answer->signature, sizeof(answer->signature));
}

int keys_get_answer(struct span bytes, struct auth_answer *out)
{
	struct cursor in = cursor_of(bytes);
	struct auth_answer answer = {.result = cursor_u8(&in)};

	answer.delay_ms = cursor_u64(&in);
	answer.account = cursor_bytes16(&in);
	answer.iterations = cursor_u32(&in);
	struct span salt = cursor_bytes16(&in);
	struct span signature = cursor_bytes(&in, sizeof(answer.signature));
	if (!cursor_ok(&in) || cursor_left(&in) || answer.result > AUTH_BROKEN ||
		answer.account.n > AUTH_USER || salt.n > SCRAM_SALT_MOST)
		return ERR_CORRUPT;
	answer.salt_bytes = (uint32_t)salt.n;
	if (salt.n)
		memcpy(answer.salt, salt.p, salt.n);
	memcpy(answer.signature, signature.p, signature.n);
	*out = answer;
	return 0;
}

/* ---- who is blocked ------------------------------------------------------------------------- */

void keys_put_locks(struct buf *out, const struct keys_locks *locks)
{
	buf_put_u8(out, (uint8_t)locks->op);
	buf_put_bytes16(out, locks->account);
	buf_put_u8(out, locks->address.family);
	buf_add(out, locks->address.ip, sizeof(locks->address.ip));
	buf_put_u8(out, locks->bits);
}

static bool is_locks(const struct keys_locks *locks)
{
	bool v6 = locks->address.family == NETADDR_V6;

	if (locks->op > KEYS_LOCKS_LIFT || locks->account.n > AUTH_USER ||
		!is_address(&locks->address))
		return false;
	if (locks->bits &&
		!(v6 && (locks->bits == LIMITS_CLIENT_BITS || locks->bits == LIMITS_SITE_BITS)))
		return false;
	return locks->op == KEYS_LOCKS_LIST ||
	       (locks->account.n > 0) != (locks->address.family != NETADDR_NONE);
}

int keys_get_locks(struct span bytes, struct keys_locks *out)
{
	struct cursor in = cursor_of(bytes);
	struct keys_locks locks = {.op = cursor_u8(&in)};

	locks.account = cursor_bytes16(&in);
	locks.address.family = cursor_u8(&in);
	struct span ip = cursor_bytes(&in, sizeof(locks.address.ip));

	locks.bits = cursor_u8(&in);
	if (!cursor_ok(&in) || cursor_left(&in) || !ip.n || !is_locks(&locks))
		return ERR_CORRUPT;
	memcpy(locks.address.ip, ip.p, ip.n);
	*out = locks;
	return 0;
}

/* ---- signatures ----------------------------------------------------------------------------- */

void keys_put_sign(struct buf *out, const struct keys_sign *sign)
{
	buf_put_u32(out, sign->serial);
	buf_put_u32(out, sign->key);
	buf_put_u64(out, sign->until_ns);
	buf_put_u8(out, (uint8_t)sign->kind);
	buf_put_u8(out, (uint8_t)sign->hash);
	buf_put_bytes16(out, sign->in);
}

static bool has_its_length(const struct keys_sign *sign)
{
	static const uint8_t bytes[] = {
		[TLS_SHA256] = 32, [TLS_SHA384] = 48, [TLS_SHA512] = 64, [TLS_SHA1] = 20};

	if (sign->kind == TLS_SIGN_ED25519)
		return sign->hash == TLS_NO_HASH && sign->in.n && sign->in.n <= TLS_SIGN_MESSAGE;
	return sign->hash < ARRAY_SIZE(bytes) && sign->hash != TLS_NO_HASH &&
	       sign->in.n == bytes[sign->hash];
}

int keys_get_sign(struct cursor *in, struct keys_sign *out)
{
	struct keys_sign sign = {.serial = cursor_u32(in)};

	sign.key = cursor_u32(in);
	sign.until_ns = cursor_u64(in);
	sign.kind = cursor_u8(in);
	sign.hash = cursor_u8(in);
	sign.in = cursor_bytes16(in);
	if (!cursor_ok(in) || sign.kind >= TLS_SIGNATURES || !has_its_length(&sign))
		return ERR_CORRUPT;
	*out = sign;
	return 0;
}

void keys_put_signed(struct buf *out, const struct keys_signed *answer)
{
	buf_put_u32(out, answer->serial);
	buf_put_u8(out, answer->done);
	buf_put_bytes16(out, answer->signature);
}

int keys_get_signed(struct cursor *in, struct keys_signed *out)
{
	struct keys_signed answer = {.serial = cursor_u32(in)};

	answer.done = cursor_u8(in) == 1;
	answer.signature = cursor_bytes16(in);
	if (!cursor_ok(in) || answer.signature.n > TLS_SIGN_OUT ||
		answer.done != (answer.signature.n > 0))
		return ERR_CORRUPT;
	*out = answer;
	return 0;
}
