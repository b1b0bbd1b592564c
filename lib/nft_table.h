// SPDX-License-Identifier: GPL-2.0-or-later
// The table 'inet synward' of nf_tables, which holds every chain of ours: its parts as
// libnftnl has them, and transactions. In the caller's network namespace.
#pragma once

#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "lib/netlink.h"

namespace synward::nft {

inline constexpr const char* table_name = "synward";
inline constexpr std::uint16_t table_family = 1;  // NFPROTO_INET, whose header clashes with others

struct Free {
    void operator()(nftnl_table* table) const { nftnl_table_free(table); }
    void operator()(nftnl_chain* chain) const { nftnl_chain_free(chain); }
    void operator()(nftnl_rule* rule) const { nftnl_rule_free(rule); }
    void operator()(nftnl_set* set) const { nftnl_set_free(set); }
};
using Table = std::unique_ptr<nftnl_table, Free>;
using Chain = std::unique_ptr<nftnl_chain, Free>;
using Rule = std::unique_ptr<nftnl_rule, Free>;
using Set = std::unique_ptr<nftnl_set, Free>;

[[nodiscard]] Table our_table();
// By its name alone, as for removing it.
[[nodiscard]] Chain our_chain(const char* name);
// type filter hook prerouting; policy accept
[[nodiscard]] Chain our_chain(const char* name, std::int32_t priority);
// A rule of that chain, without expressions yet. They belong to the rule.
[[nodiscard]] Rule our_rule(const char* chain);
nftnl_expr* add_expression(nftnl_rule* rule, const char* name);
// Of register 1 only these bits stay.
void add_mask(nftnl_rule* rule, std::uint32_t mask);

// One transaction: all of it happens, or nothing; and nothing (ERESTART) if the ruleset is
// of another generation than the one that was looked at. Every step returns its number, by
// which an answer names it. There may be any number of them, and of elements: those are
// spread over several messages, of which the last one's number is returned.
class Transaction {
  public:
    explicit Transaction(std::optional<std::uint32_t> generation = std::nullopt);

    std::uint32_t table(int command, int flags, nftnl_table* table);
    std::uint32_t chain(int command, int flags, nftnl_chain* chain);
    std::uint32_t rule(int command, int flags, nftnl_rule* rule);
    std::uint32_t map(int command, int flags, nftnl_set* map);
    std::uint32_t elements(int command, int flags, nftnl_set* map);
    NetlinkAnswer commit(NetlinkSocket& socket);

  private:
    char* at();
    nlmsghdr* next(int command, int flags);
    std::uint32_t advance();

    std::vector<char> buffer_;
    std::size_t used_ = 0;
    nlmsghdr* message_ = nullptr;  // until the next one begins
    std::uint32_t sequence_ = 1;
};

// The table may hold more than ours; it goes only when it is empty. That it stays, or is
// not there, is no error.
[[nodiscard]] NetlinkAnswer remove_empty_table(NetlinkSocket& socket);

}  // namespace synward::nft
