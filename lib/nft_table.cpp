// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/nft_table.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <new>

namespace synward::nft {

static_assert(table_family == NFPROTO_INET);

namespace {

// Room for one message, which libnftnl writes without a limit: elements fill a nest of 64
// KiB at most, behind which one more, that did not fit, is written and taken back.
constexpr std::size_t message_bytes = 131072;

// The kernel takes a transaction in one piece, of the socket's send buffer at most.
void make_room(const NetlinkSocket& socket, std::size_t bytes) {
    int have = 0;
    socklen_t length = sizeof have;
    constexpr std::size_t most = std::numeric_limits<int>::max() / 2;
    const int wanted = static_cast<int>(std::min(bytes + message_bytes, most));
    if (!getsockopt(socket.fd(), SOL_SOCKET, SO_SNDBUF, &have, &length) && have >= wanted) return;
    if (setsockopt(socket.fd(), SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof wanted))
        (void)setsockopt(socket.fd(), SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
}

}  // namespace

Table our_table() {
    Table table(nftnl_table_alloc());
    nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, table_name);
    return table;
}

Chain our_chain(const char* name) {
    Chain chain(nftnl_chain_alloc());
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, table_name);
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, name);
    return chain;
}

Chain our_chain(const char* name, std::int32_t priority) {
    Chain chain = our_chain(name);
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TYPE, "filter");
    nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_HOOKNUM, NF_INET_PRE_ROUTING);
    nftnl_chain_set_s32(chain.get(), NFTNL_CHAIN_PRIO, priority);
    nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
    return chain;
}

Rule our_rule(const char* chain) {
    Rule rule(nftnl_rule_alloc());
    nftnl_rule_set_u32(rule.get(), NFTNL_RULE_FAMILY, table_family);
    nftnl_rule_set_str(rule.get(), NFTNL_RULE_TABLE, table_name);
    nftnl_rule_set_str(rule.get(), NFTNL_RULE_CHAIN, chain);
    return rule;
}

nftnl_expr* add_expression(nftnl_rule* rule, const char* name) {
    nftnl_expr* expression = nftnl_expr_alloc(name);
    nftnl_rule_add_expr(rule, expression);
    return expression;
}

void add_mask(nftnl_rule* rule, std::uint32_t mask) {
    const std::uint32_t none = 0;
    nftnl_expr* bits = add_expression(rule, "bitwise");
    nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
    nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
    nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
    nftnl_expr_set_u32(bits, NFTNL_EXPR_BITWISE_LEN, sizeof mask);
    nftnl_expr_set(bits, NFTNL_EXPR_BITWISE_MASK, &mask, sizeof mask);
    nftnl_expr_set(bits, NFTNL_EXPR_BITWISE_XOR, &none, sizeof none);
}

Transaction::Transaction(std::optional<std::uint32_t> generation) {
    nlmsghdr* begin = nftnl_batch_begin(at(), sequence_++);
    if (generation) mnl_attr_put_u32(begin, NFNL_BATCH_GENID, htonl(*generation));
    used_ += MNL_ALIGN(begin->nlmsg_len);
}

std::uint32_t Transaction::table(int command, int flags, nftnl_table* table) {
    nftnl_table_nlmsg_build_payload(next(command, flags), table);
    return advance();
}

std::uint32_t Transaction::chain(int command, int flags, nftnl_chain* chain) {
    nftnl_chain_nlmsg_build_payload(next(command, flags), chain);
    return advance();
}

std::uint32_t Transaction::rule(int command, int flags, nftnl_rule* rule) {
    nftnl_rule_nlmsg_build_payload(next(command, flags), rule);
    return advance();
}

std::uint32_t Transaction::map(int command, int flags, nftnl_set* map) {
    nftnl_set_nlmsg_build_payload(next(command, flags), map);
    return advance();
}

std::uint32_t Transaction::elements(int command, int flags, nftnl_set* map) {
    nftnl_set_elems_iter* element = nftnl_set_elems_iter_create(map);
    if (!element) throw std::bad_alloc();
    std::uint32_t number = 0;
    bool more = true;
    while (more) {
        more = nftnl_set_elems_nlmsg_build_payload_iter(next(command, flags), element) > 0;
        number = advance();
    }
    nftnl_set_elems_iter_destroy(element);
    return number;
}

NetlinkAnswer Transaction::commit(NetlinkSocket& socket) {
    nlmsghdr* end = nftnl_batch_end(at(), sequence_++);
    used_ += MNL_ALIGN(end->nlmsg_len);
    make_room(socket, used_);
    return socket.ask({buffer_.data(), used_});
}

char* Transaction::at() {
    if (buffer_.size() - used_ < message_bytes) buffer_.resize(2 * used_ + message_bytes);
    return buffer_.data() + used_;
}

nlmsghdr* Transaction::next(int command, int flags) {
    message_ = nftnl_nlmsg_build_hdr(at(), static_cast<std::uint16_t>(command), table_family,
                                     static_cast<std::uint16_t>(flags), sequence_++);
    return message_;
}

std::uint32_t Transaction::advance() {
    used_ += MNL_ALIGN(message_->nlmsg_len);
    return message_->nlmsg_seq;
}

NetlinkAnswer remove_empty_table(NetlinkSocket& socket) {
    Transaction transaction;
    transaction.table(NFT_MSG_DELTABLE, NLM_F_NONREC, our_table().get());
    NetlinkAnswer answer = transaction.commit(socket);
    if (answer.error == ENOENT || answer.error == EBUSY) answer.error = 0;
    return answer;
}

}  // namespace synward::nft
