// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/escalation/queue_rule.h"

#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/xt_NFQUEUE.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>

#include "lib/abi/metadata.h"
#include "lib/netlink.h"

namespace synward {
namespace {

constexpr const char* table_name = "synward";
constexpr const char* chain_name = "escalate";
constexpr int priority = -299;
constexpr std::uint16_t table_family = NFPROTO_INET;
constexpr std::uint32_t target_revision = 3;

struct Free {
    void operator()(nftnl_table* table) const { nftnl_table_free(table); }
    void operator()(nftnl_chain* chain) const { nftnl_chain_free(chain); }
    void operator()(nftnl_rule* rule) const { nftnl_rule_free(rule); }
};
using Table = std::unique_ptr<nftnl_table, Free>;
using Chain = std::unique_ptr<nftnl_chain, Free>;
using Rule = std::unique_ptr<nftnl_rule, Free>;

Table our_table() {
    Table table(nftnl_table_alloc());
    nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, table_name);
    return table;
}

Chain our_chain(bool with_hook) {
    Chain chain(nftnl_chain_alloc());
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, table_name);
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, chain_name);
    if (with_hook) {
        nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TYPE, "filter");
        nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_HOOKNUM, NF_INET_PRE_ROUTING);
        nftnl_chain_set_s32(chain.get(), NFTNL_CHAIN_PRIO, priority);
        nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
    }
    return chain;
}

nftnl_expr* add_expression(nftnl_rule* rule, const char* name) {
    nftnl_expr* expression = nftnl_expr_alloc(name);
    nftnl_rule_add_expr(rule, expression);
    return expression;
}

// meta mark & SW_MARK_ESCALATE == SW_MARK_ESCALATE counter
void add_match(nftnl_rule* rule) {
    const std::uint32_t bit = SW_MARK_ESCALATE;
    const std::uint32_t none = 0;
    nftnl_expr* load = add_expression(rule, "meta");
    nftnl_expr_set_u32(load, NFTNL_EXPR_META_KEY, NFT_META_MARK);
    nftnl_expr_set_u32(load, NFTNL_EXPR_META_DREG, NFT_REG_1);
    nftnl_expr* mask = add_expression(rule, "bitwise");
    nftnl_expr_set_u32(mask, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
    nftnl_expr_set_u32(mask, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
    nftnl_expr_set_u32(mask, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
    nftnl_expr_set_u32(mask, NFTNL_EXPR_BITWISE_LEN, sizeof bit);
    nftnl_expr_set(mask, NFTNL_EXPR_BITWISE_MASK, &bit, sizeof bit);
    nftnl_expr_set(mask, NFTNL_EXPR_BITWISE_XOR, &none, sizeof none);
    nftnl_expr* compare = add_expression(rule, "cmp");
    nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_OP, NFT_CMP_EQ);
    nftnl_expr_set(compare, NFTNL_EXPR_CMP_DATA, &bit, sizeof bit);
    add_expression(rule, "counter");
}

void add_queue(nftnl_rule* rule, const QueueRange& queues) {
    nftnl_expr* queue = add_expression(rule, "queue");
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
    nftnl_expr* target = add_expression(rule, "target");
    nftnl_expr_set_str(target, NFTNL_EXPR_TG_NAME, "NFQUEUE");
    nftnl_expr_set_u32(target, NFTNL_EXPR_TG_REV, target_revision);
    nftnl_expr_set(target, NFTNL_EXPR_TG_INFO, data, length);
}

Rule our_rule(const QueueRange& queues, bool compat) {
    Rule rule(nftnl_rule_alloc());
    nftnl_rule_set_u32(rule.get(), NFTNL_RULE_FAMILY, table_family);
    nftnl_rule_set_str(rule.get(), NFTNL_RULE_TABLE, table_name);
    nftnl_rule_set_str(rule.get(), NFTNL_RULE_CHAIN, chain_name);
    add_match(rule.get());
    if (compat)
        add_target(rule.get(), queues);
    else
        add_queue(rule.get(), queues);
    return rule;
}

// One transaction: all of it happens, or nothing.
class Transaction {
  public:
    Transaction() {
        nftnl_batch_begin(at_, sequence_++);
        at_ += MNL_ALIGN(reinterpret_cast<nlmsghdr*>(at_)->nlmsg_len);
    }
    void table(int command, int flags) {
        nftnl_table_nlmsg_build_payload(next(command, flags), our_table().get());
        advance();
    }
    void chain(int command, int flags, bool with_hook = false) {
        nftnl_chain_nlmsg_build_payload(next(command, flags), our_chain(with_hook).get());
        advance();
    }
    // Its number, by which an answer names it.
    std::uint32_t rule(int command, int flags, nftnl_rule* rule) {
        nftnl_rule_nlmsg_build_payload(next(command, flags), rule);
        advance();
        return sequence_ - 1;
    }
    NetlinkAnswer commit(NetlinkSocket& socket) {
        nftnl_batch_end(at_, sequence_++);
        at_ += MNL_ALIGN(reinterpret_cast<nlmsghdr*>(at_)->nlmsg_len);
        return socket.ask({buffer_.data(), at_});
    }

  private:
    nlmsghdr* next(int command, int flags) {
        message_ = nftnl_nlmsg_build_hdr(at_, static_cast<std::uint16_t>(command), table_family,
                                         static_cast<std::uint16_t>(flags), sequence_++);
        return message_;
    }
    void advance() { at_ += MNL_ALIGN(message_->nlmsg_len); }

    // Six short messages; the longest has some 400 bytes.
    alignas(nlmsghdr) std::array<char, 8192> buffer_{};
    char* at_ = buffer_.data();
    nlmsghdr* message_ = nullptr;
    std::uint32_t sequence_ = 1;
};

struct Attempt {
    NetlinkAnswer answer;
    bool rule_refused = false;  // and not something before it
};

Attempt try_install(NetlinkSocket& socket, const QueueRange& queues, bool compat) {
    Transaction transaction;
    transaction.table(NFT_MSG_NEWTABLE, NLM_F_CREATE);
    // Whatever the chain was before: it is there after the first line, gone after the second.
    transaction.chain(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    transaction.chain(NFT_MSG_DELCHAIN, 0);
    transaction.chain(NFT_MSG_NEWCHAIN, NLM_F_CREATE, true);
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
    return table && chain && std::string_view(table) == table_name && std::string_view(chain) == chain_name;
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
    nlmsghdr* request = nftnl_nlmsg_build_hdr(buffer.data(), NFT_MSG_GETRULE, table_family, NLM_F_DUMP, 1);
    mnl_attr_put_strz(request, NFTA_RULE_TABLE, table_name);
    mnl_attr_put_strz(request, NFTA_RULE_CHAIN, chain_name);
    std::optional<QueueRule> found;
    const NetlinkAnswer answer =
        socket->ask({buffer.data(), request->nlmsg_len}, [&](const nlmsghdr* message) {
            const Rule rule(nftnl_rule_alloc());
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
    Transaction chain;
    chain.chain(NFT_MSG_DELCHAIN, 0);
    const NetlinkAnswer removed = chain.commit(*socket);
    if (removed.error && removed.error != ENOENT)
        return fail_table(removed, "cannot remove the chain 'escalate' of the table 'inet synward'");
    // The table may hold more than this; it goes only when it is empty.
    Transaction table;
    table.table(NFT_MSG_DELTABLE, NLM_F_NONREC);
    const NetlinkAnswer emptied = table.commit(*socket);
    if (emptied.error && emptied.error != ENOENT && emptied.error != EBUSY)
        return fail_table(emptied, "cannot remove the empty table 'inet synward'");
    return {};
}

}  // namespace synward
