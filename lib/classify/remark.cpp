// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/classify/remark.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "lib/abi/metadata.h"
#include "lib/netlink_attributes.h"

namespace synward {
namespace {

constexpr std::size_t batch_bytes = 16384;
constexpr std::size_t longest_change = 512;
constexpr int dump_attempts = 3;  // a dump that changed meanwhile is read again

bool read_addresses(const nlattr* attribute, Connection& connection) {
    const auto ip = nested<CTA_IP_MAX>(attribute);
    const void* source = ip.bytes(CTA_IP_V4_SRC, 4);
    const void* destination = ip.bytes(CTA_IP_V4_DST, 4);
    std::size_t length = 4;
    sw_family family = SW_IPV4;
    if (!source || !destination) {
        source = ip.bytes(CTA_IP_V6_SRC, 16);
        destination = ip.bytes(CTA_IP_V6_DST, 16);
        length = 16;
        family = SW_IPV6;
    }
    if (!source || !destination) return false;
    connection.source.family = connection.destination.family = family;
    std::memcpy(connection.source.bytes.data(), source, length);
    std::memcpy(connection.destination.bytes.data(), destination, length);
    return true;
}

Attributes<CTA_MAX> top_attributes(const nlmsghdr* message) {
    Attributes<CTA_MAX> top;
    if (mnl_nlmsg_get_payload_len(message) >= sizeof(nfgenmsg))
        mnl_attr_parse(message, sizeof(nfgenmsg), Attributes<CTA_MAX>::take, &top);
    return top;
}

}  // namespace

CoveredAddresses::CoveredAddresses(std::vector<Prefix> prefixes) {
    // A prefix sorts before those within it: by address, then by length.
    std::sort(prefixes.begin(), prefixes.end());
    for (const Prefix& prefix : prefixes) {
        auto& list = of_[prefix.address.family];
        if (list.empty() || !list.back().contains(prefix.address)) list.push_back(prefix);
    }
}

bool CoveredAddresses::contains(const Address& address) const {
    const auto& list = of_[address.family];
    const auto after =
        std::upper_bound(list.begin(), list.end(), address,
                         [](const Address& wanted, const Prefix& prefix) { return wanted < prefix.address; });
    return after != list.begin() && std::prev(after)->contains(address);
}

std::optional<Connection> read_connection(const nlmsghdr* message) {
    if (message->nlmsg_type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW)) return std::nullopt;
    const auto top = top_attributes(message);
    const bool expected = ntohl(top.number<std::uint32_t>(CTA_STATUS)) & IPS_EXPECTED;
    const auto* master = expected ? top.of[CTA_TUPLE_MASTER] : nullptr;
    const auto parts = nested<CTA_TUPLE_MAX>(master ? master : top.of[CTA_TUPLE_ORIG]);
    const auto protocol = nested<CTA_PROTO_MAX>(parts.of[CTA_TUPLE_PROTO]);
    Connection connection;
    if (!read_addresses(parts.of[CTA_TUPLE_IP], connection)) return std::nullopt;
    connection.protocol = protocol.number<std::uint8_t>(CTA_PROTO_NUM);
    connection.source_port = ntohs(protocol.number<std::uint16_t>(CTA_PROTO_SRC_PORT));
    connection.destination_port = ntohs(protocol.number<std::uint16_t>(CTA_PROTO_DST_PORT));
    connection.mark = ntohl(top.number<std::uint32_t>(CTA_MARK));
    return connection;
}

std::uint8_t class_after(std::uint8_t now, std::optional<std::uint8_t> found, std::uint8_t decided) {
    if (found) return *found;
    return now == SW_MARK_VALIDATED || now == decided ? now : 0;
}

Result<Remarker> Remarker::open() {
    auto dump = NetlinkSocket::open(NETLINK_NETFILTER);
    if (!dump) return tl::unexpected(dump.error());
    auto change = NetlinkSocket::open(NETLINK_NETFILTER);
    if (!change) return tl::unexpected(change.error());
    return Remarker(std::move(*dump), std::move(*change));
}

Result<Remarker::Counts> Remarker::run(const CoveredAddresses& covered, const Find& find,
                                       std::uint8_t decided) {
    Counts counts;
    decided_ = decided;
    error_ = 0;
    for (const auto& [family, kernel] : {std::pair{SW_IPV4, AF_INET}, std::pair{SW_IPV6, AF_INET6}}) {
        if (!covered.any(family)) continue;
        if (auto done = dump(static_cast<std::uint8_t>(kernel), covered, find, counts); !done)
            return tl::unexpected(done.error());
    }
    if (error_) return fail_errno(error_, "cannot change the marks of conntrack entries");
    return counts;
}

Result<void> Remarker::dump(std::uint8_t family, const CoveredAddresses& covered, const Find& find,
                            Counts& counts) {
    NetlinkAnswer answer;
    const Counts before = counts;
    for (int i = 0; i < dump_attempts; i++) {
        counts.connections = before.connections;
        counts.concerned = before.concerned;
        alignas(nlmsghdr) std::array<char, 256> space;
        nlmsghdr* request = mnl_nlmsg_put_header(space.data());
        request->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
        request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(nfgenmsg)));
        header->nfgen_family = family;
        header->version = NFNETLINK_V0;
        answer = dump_.ask({space.data(), request->nlmsg_len},
                           [&](const nlmsghdr* message) { take(message, covered, find, counts); });
        flush(counts);
        if (answer.error != EINTR) break;
    }
    if (!answer.error) return {};
    // nfnetlink has no such subsystem.
    if (answer.error == EINVAL || answer.error == EOPNOTSUPP || answer.error == ENOENT)
        return fail(
            ErrorCode::unsupported,
            "the kernel cannot list its conntrack entries, so that only new connections follow the sets: "
            "load the module nf_conntrack_netlink");
    return fail_answer(answer, "cannot list the kernel's conntrack entries");
}

void Remarker::take(const nlmsghdr* message, const CoveredAddresses& covered, const Find& find,
                    Counts& counts) {
    const auto connection = read_connection(message);
    if (!connection) return;
    counts.connections++;
    if (!covered.contains(connection->source)) return;
    counts.concerned++;
    const Answer answer = find(*connection);
    if (answer.opened_here) return;
    if (answer.unclear) {
        counts.unclear++;
        return;
    }
    const auto now = static_cast<std::uint8_t>(connection->mark & SW_MARK_CLASS_MASK);
    const std::uint8_t then = class_after(now, answer.found, decided_);
    if (then == now) return;
    add_change(message, then);
    counts.changed++;
    if (batch_.size() + longest_change > batch_bytes) flush(counts);
}

// The tuple goes back as it came, with its zone: whatever the protocol is.
void Remarker::add_change(const nlmsghdr* message, std::uint8_t to) {
    const auto top = top_attributes(message);
    const auto* from = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(message));
    alignas(nlmsghdr) std::array<char, longest_change> space{};
    nlmsghdr* change = mnl_nlmsg_put_header(space.data());
    change->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
    change->nlmsg_flags = NLM_F_REQUEST;  // without CREATE: one that is gone is not made anew
    auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(change, sizeof(nfgenmsg)));
    header->nfgen_family = from->nfgen_family;
    header->version = NFNETLINK_V0;
    const nlattr* tuple = top.of[CTA_TUPLE_ORIG];
    bool whole = mnl_attr_put_check(change, space.size(), tuple->nla_type, mnl_attr_get_payload_len(tuple),
                                    mnl_attr_get_payload(tuple));
    if (const nlattr* zone = top.of[CTA_ZONE])
        whole &= mnl_attr_put_check(change, space.size(), zone->nla_type, mnl_attr_get_payload_len(zone),
                                    mnl_attr_get_payload(zone));
    whole &= mnl_attr_put_u32_check(change, space.size(), CTA_MARK, htonl(to)) &&
             mnl_attr_put_u32_check(change, space.size(), CTA_MARK_MASK, htonl(SW_MARK_CLASS_MASK));
    if (!whole) return;
    batch_.insert(batch_.end(), space.data(), space.data() + MNL_ALIGN(change->nlmsg_len));
    waiting_++;
}

void Remarker::flush(Counts& counts) {
    if (!waiting_) return;
    const NetlinkAnswer answer = change_.ask(batch_);
    batch_.clear();
    waiting_ = 0;
    if (!answer.error) return;
    // One that ended meanwhile is no failure. Only the first of a batch is known.
    if (answer.error == ENOENT)
        counts.gone++;
    else
        error_ = answer.error;
}

}  // namespace synward
