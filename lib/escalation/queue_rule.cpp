// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/escalation/queue_rule.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/xt_NFQUEUE.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "lib/abi/metadata.h"
#include "lib/netlink.h"
#include "lib/nft_table.h"

namespace synward {
namespace {

constexpr const char* chain_name = "escalate";
constexpr int priority = -299;
constexpr std::uint32_t target_revision = 3;

// meta mark & SW_MARK_ESCALATE == SW_MARK_ESCALATE counter
void add_match(nftnl_rule* rule) {
    const std::uint32_t bit = SW_MARK_ESCALATE;
    nftnl_expr* load = nft::add_expression(rule, "meta");
    nftnl_expr_set_u32(load, NFTNL_EXPR_META_KEY, NFT_META_MARK);
    nftnl_expr_set_u32(load, NFTNL_EXPR_META_DREG, NFT_REG_1);
    nft::add_mask(rule, bit);
    nftnl_expr* compare = nft::add_expression(rule, "cmp");
    nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_OP, NFT_CMP_EQ);
    nftnl_expr_set(compare, NFTNL_EXPR_CMP_DATA, &bit, sizeof bit);
    nft::add_expression(rule, "counter");
}

void add_queue(nftnl_rule* rule, const QueueRange& queues) {
    nftnl_expr* queue = nft::add_expression(rule, "queue");
    nftnl_expr_set_u16(queue, NFTNL_EXPR_QUEUE_NUM, queues.first);
    nftnl_expr_set_u16(queue, NFTNL_EXPR_QUEUE_TOTAL,
                       static_cast<std::uint16_t>(queues.last - queues.first + 1));
    nftnl_expr_set_u16(queue, NFTNL_EXPR_QUEUE_FLAGS, NFT_QUEUE_FLAG_BYPASS | NFT_QUEUE_FLAG_CPU_FANOUT);
}

// The same by the target of xtables, which nft_compat runs.
void add_target(nftnl_rule* rule, const QueueRange& queues) {
    // Targets tell the kernel their length rounded up to 8 bytes (XT_ALIGN).
    constexpr std::size_t length = (sizeof(xt_NFQ_info_v3) + 7) / 8 * 8;
    const xt_NFQ_info_v3 info{.queuenum = queues.first,
                              .queues_total = static_cast<std::uint16_t>(queues.last - queues.first + 1),
                              .flags = NFQ_FLAG_BYPASS | NFQ_FLAG_CPU_FANOUT};
    void* data = std::calloc(1, length);  // libnftnl frees it with the expression
    if (!data) throw std::bad_alloc();
    std::memcpy(data, &info, sizeof info);
    nftnl_expr* target = nft::add_expression(rule, "target");
    nftnl_expr_set_str(target, NFTNL_EXPR_TG_NAME, "NFQUEUE");
    nftnl_expr_set_u32(target, NFTNL_EXPR_TG_REV, target_revision);
    nftnl_expr_set(target, NFTNL_EXPR_TG_INFO, data, length);
}

nft::Rule our_rule(const QueueRange& queues, bool compat) {
    nft::Rule rule = nft::our_rule(chain_name);
    add_match(rule.get());
    if (compat)
        add_target(rule.get(), queues);
    else
        add_queue(rule.get(), queues);
    return rule;
}

struct Attempt {
    NetlinkAnswer answer;
    bool rule_refused = false;  // and not something before it
};

Attempt try_install(NetlinkSocket& socket, const QueueRange& queues, bool compat) {
    nft::Transaction transaction;
    transaction.table(NFT_MSG_NEWTABLE, NLM_F_CREATE, nft::our_table().get());
    // Whatever the chain was before: it is there after the first line, gone after the second.
    transaction.chain(NFT_MSG_NEWCHAIN, NLM_F_CREATE, nft::our_chain(chain_name).get());
    transaction.chain(NFT_MSG_DELCHAIN, 0, nft::our_chain(chain_name).get());
    transaction.chain(NFT_MSG_NEWCHAIN, NLM_F_CREATE, nft::our_chain(chain_name, priority).get());
    const std::uint32_t sequence =
        transaction.rule(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, our_rule(queues, compat).get());
    Attempt attempt{transaction.commit(socket)};
    attempt.rule_refused = attempt.answer.error && attempt.answer.sequence == sequence;
    return attempt;
}

constexpr std::string_view no_nftables =
    "the kernel has no nf_tables, so packets cannot be brought to nfnetlink_queue: load the module "
    "nf_tables, or use the ring (modprobe synward)";

tl::unexpected<Error> fail_table(const NetlinkAnswer& answer, std::string_view what) {
    if (answer.error == EOPNOTSUPP || answer.error == EINVAL)
        return fail(ErrorCode::unsupported, std::string(no_nftables));
    return fail_answer(answer, what);
}

// What the rule says if it is one of ours.
struct Reading {
    std::optional<QueueRange> queues;
    bool compat = false;
    std::uint64_t packets = 0;
};

std::optional<QueueRange> range_of(unsigned first, unsigned total) {
    if (total == 0 || first + total - 1 > UINT16_MAX) return std::nullopt;
    return QueueRange{static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(first + total - 1)};
}

int read_expression(nftnl_expr* expression, void* data) {
    auto& reading = *static_cast<Reading*>(data);
    const std::string_view name = nftnl_expr_get_str(expression, NFTNL_EXPR_NAME);
    if (name == "counter") {
        reading.packets = nftnl_expr_get_u64(expression, NFTNL_EXPR_CTR_PACKETS);
    } else if (name == "queue") {
        reading.queues = range_of(nftnl_expr_get_u16(expression, NFTNL_EXPR_QUEUE_NUM),
                                  nftnl_expr_get_u16(expression, NFTNL_EXPR_QUEUE_TOTAL));
    } else if (name == "target") {
        std::uint32_t length = 0;
        const void* info = nftnl_expr_get(expression, NFTNL_EXPR_TG_INFO, &length);
        const char* target = nftnl_expr_get_str(expression, NFTNL_EXPR_TG_NAME);
        if (!info || length < sizeof(xt_NFQ_info_v3) || !target || std::string_view(target) != "NFQUEUE")
            return 0;
        xt_NFQ_info_v3 queue;
        std::memcpy(&queue, info, sizeof queue);
        reading.queues = range_of(queue.queuenum, queue.queues_total);
        reading.compat = true;
    }
    return 0;
}

bool is_ours(const nftnl_rule* rule) {
    const char* table = nftnl_rule_get_str(rule, NFTNL_RULE_TABLE);
    const char* chain = nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN);
    return table && chain && std::string_view(table) == nft::table_name &&
           std::string_view(chain) == chain_name;
}

}  // namespace

Result<QueueRule> install_queue_rule(const QueueRange& queues) {
    if (queues.first > queues.last || (queues.first == 0 && queues.last == UINT16_MAX))
        return fail(
            ErrorCode::usage,
            fmt::format(
                "queues {}-{}: the first must not be above the last, and they must be fewer than 65536",
                queues.first, queues.last));
    auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
    if (!socket) return tl::unexpected(socket.error());
    const Attempt own = try_install(*socket, queues, false);
    if (!own.answer.error) return QueueRule{queues, false, 0};
    if (!own.rule_refused || own.answer.error != ENOENT)
        return fail_table(own.answer, "cannot make the chain 'escalate' of the table 'inet synward'");
    // ENOENT of the rule: this kernel does not know its queue statement.
    const Attempt compat = try_install(*socket, queues, true);
    if (!compat.answer.error) return QueueRule{queues, true, 0};
    if (compat.answer.error == ENOENT || compat.answer.error == EOPNOTSUPP)
        return fail(
            ErrorCode::unsupported,
            "the kernel has neither the queue statement of nftables (nft_queue) nor the NFQUEUE target "
            "(nft_compat and xt_NFQUEUE): load those modules, or use the ring (modprobe synward)");
    return fail_table(compat.answer, "cannot make the chain 'escalate' of the table 'inet synward'");
}

Result<std::optional<QueueRule>> find_queue_rule() {
    auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
    if (!socket) return tl::unexpected(socket.error());
    alignas(nlmsghdr) std::array<char, 1024> buffer{};
    nlmsghdr* request =
        nftnl_nlmsg_build_hdr(buffer.data(), NFT_MSG_GETRULE, nft::table_family, NLM_F_DUMP, 1);
    mnl_attr_put_strz(request, NFTA_RULE_TABLE, nft::table_name);
    mnl_attr_put_strz(request, NFTA_RULE_CHAIN, chain_name);
    std::optional<QueueRule> found;
    const NetlinkAnswer answer =
        socket->ask({buffer.data(), request->nlmsg_len}, [&](const nlmsghdr* message) {
            const nft::Rule rule(nftnl_rule_alloc());
            if (nftnl_rule_nlmsg_parse(message, rule.get()) < 0 || !is_ours(rule.get())) return;
            Reading reading;
            nftnl_expr_foreach(rule.get(), read_expression, &reading);
            if (reading.queues) found = QueueRule{*reading.queues, reading.compat, reading.packets};
        });
    if (answer.error == ENOENT) return std::optional<QueueRule>{};
    if (answer.error) return fail_table(answer, "cannot read the table 'inet synward'");
    return found;
}

Result<void> remove_queue_rule() {
    auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
    if (!socket) return tl::unexpected(socket.error());
    nft::Transaction chain;
    chain.chain(NFT_MSG_DELCHAIN, 0, nft::our_chain(chain_name).get());
    const NetlinkAnswer removed = chain.commit(*socket);
    if (removed.error && removed.error != ENOENT)
        return fail_table(removed, "cannot remove the chain 'escalate' of the table 'inet synward'");
    const NetlinkAnswer emptied = nft::remove_empty_table(*socket);
    if (emptied.error) return fail_table(emptied, "cannot remove the empty table 'inet synward'");
    return {};
}

}  // namespace synward
