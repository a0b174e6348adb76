/*
 * A pin: the SHA-256 of a certificate or of its public key (SPKI), as text: "sha256:" and 64 hex
 * digits (colons between bytes are read, too) or 43/44 characters of base64.
 */
#ifndef CODEC_PIN_H
#define CODEC_PIN_H

#include "base/buf.h"
#include "base/span.h"

#include <stdint.h>

#define PIN_BYTES 32
#define PIN_TEXT  71 /* characters of the canonical form: "sha256:" and lower-case hex */

/* ERR_SYNTAX. */
int pin_parse(struct span text, uint8_t out[PIN_BYTES]);
void pin_add(struct buf *out, const uint8_t pin[PIN_BYTES]);
/* The SHA-256 of these bytes. */
void pin_of(struct span bytes, uint8_t out[PIN_BYTES]);

#endif
