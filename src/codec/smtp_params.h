/*
 * The ESMTP parameters of MAIL and RCPT: what smtp_command.c leaves after the path. Used by it
 * alone.
 */
#ifndef CODEC_SMTP_PARAMS_H
#define CODEC_SMTP_PARAMS_H

#include "codec/smtp_command.h"

/* Reads " KEY=value KEY …" into command->mail or command->rcpt, as command->verb says. NULL, or
 * the reply to what is wrong. */
const struct smtp_refusal *smtp_params_parse(
	struct span in, unsigned flags, struct smtp_command *command);

#endif
