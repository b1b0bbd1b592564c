/* SPDX-License-Identifier: GPL-2.0-only */
/* SW_NL_BIND and SW_NL_GET_BOUND of lib/abi/genetlink.h. */
#ifndef SYNWARD_GENL_SETS_H
#define SYNWARD_GENL_SETS_H

#include <net/genetlink.h>

#include "lib/abi/genetlink.h"

extern const struct nla_policy sw_genl_bind_policy[SW_NL_A_SETS + 1];

int sw_genl_bind(struct sk_buff *skb, struct genl_info *info);
int sw_genl_get_bound(struct sk_buff *skb, struct genl_info *info);

#endif
