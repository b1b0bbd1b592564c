// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/sets/reader.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "lib/sets/message.h"

namespace synward {
namespace {

struct KindName {
    SetKind kind;
    std::string_view type;
};
constexpr std::array<KindName, 7> kind_names{{{SetKind::ip, "hash:ip"},
                                              {SetKind::net, "hash:net"},
                                              {SetKind::ip_port, "hash:ip,port"},
                                              {SetKind::net_port, "hash:net,port"},
                                              {SetKind::net_iface, "hash:net,iface"},
                                              {SetKind::ip_mark, "hash:ip,mark"},
                                              {SetKind::list, "list:set"}}};

// A request to ip_set.
class Request {
  public:
    Request(int command, std::uint16_t flags, std::uint8_t protocol)
        : header_(mnl_nlmsg_put_header(buffer_.data())) {
        header_->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_IPSET << 8 | command);
        header_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
        auto* family = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header_, sizeof(nfgenmsg)));
        family->nfgen_family = AF_INET;
        family->version = NFNETLINK_V0;
        mnl_attr_put_u8(header_, IPSET_ATTR_PROTOCOL, protocol);
    }
    [[nodiscard]] nlmsghdr* header() const { return header_; }
    [[nodiscard]] std::span<const char> bytes() const { return {buffer_.data(), header_->nlmsg_len}; }

  private:
    alignas(nlmsghdr) std::array<char, 256> buffer_{};
    nlmsghdr* header_;
};

std::span<const std::uint8_t> payload(const nlmsghdr* message) {
    return {static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload(message)),
            mnl_nlmsg_get_payload_len(message)};
}

Error not_understood(std::string_view name) {
    return {fmt::format("what the kernel says of its set '{}' cannot be understood", name),
            ErrorCode::system};
}

}  // namespace

SetKind set_kind(std::string_view type) {
    const auto found =
        std::find_if(kind_names.begin(), kind_names.end(), [&](const KindName& k) { return k.type == type; });
    return found == kind_names.end() ? SetKind::other : found->kind;
}

std::string_view set_kind_type(SetKind kind) {
    const auto found =
        std::find_if(kind_names.begin(), kind_names.end(), [&](const KindName& k) { return k.kind == kind; });
    return found == kind_names.end() ? std::string_view() : found->type;
}

Result<SetReader> SetReader::open() {
    auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
    if (!socket) return tl::unexpected(socket.error());
    const Request request(IPSET_CMD_PROTOCOL, 0, IPSET_PROTOCOL);
    std::uint8_t latest = 0;
    const NetlinkAnswer answer = socket->ask(request.bytes(), [&](const nlmsghdr* message) {
        mnl_attr_parse(
            message, sizeof(nfgenmsg),
            [](const nlattr* attribute, void* data) {
                if (mnl_attr_get_type(attribute) == IPSET_ATTR_PROTOCOL &&
                    mnl_attr_validate(attribute, MNL_TYPE_U8) >= 0)
                    *static_cast<std::uint8_t*>(data) = mnl_attr_get_u8(attribute);
                return MNL_CB_OK;
            },
            &latest);
    });
    if (answer.error == EPERM) return fail_answer(answer, "cannot ask the kernel about its ipsets");
    if (answer.error || latest < IPSET_PROTOCOL_MIN)
        return fail(
            ErrorCode::unsupported,
            "the kernel has no ipsets: load the module ip_set, or use a kernel built with CONFIG_IP_SET");
    return SetReader(std::move(*socket), std::min<std::uint8_t>(latest, IPSET_PROTOCOL));
}

Result<std::vector<SetHeader>> SetReader::headers() {
    Request request(IPSET_CMD_LIST, NLM_F_DUMP, protocol_);
    mnl_attr_put_u32(request.header(), IPSET_ATTR_FLAGS, htonl(IPSET_FLAG_LIST_HEADER));
    std::vector<SetHeader> found;
    SetListing listing([&](const SetHeader& header) { found.push_back(header); }, {});
    bool good = true;
    const NetlinkAnswer answer = socket_.ask(
        request.bytes(), [&](const nlmsghdr* message) { good = good && listing.message(payload(message)); });
    if (answer.error) return fail_answer(answer, "cannot list the ipsets");
    if (!good) return tl::unexpected(not_understood(listing.name()));
    return found;
}

Result<SetHeader> SetReader::list(std::string_view name, bool entries, const Take& take) {
    if (name.empty() || name.size() >= IPSET_MAXNAMELEN)
        return fail(ErrorCode::missing,
                    fmt::format("there can be no ipset '{}': a name has 1 to {} characters", name,
                                IPSET_MAXNAMELEN - 1));
    Request request(IPSET_CMD_LIST, NLM_F_DUMP, protocol_);
    mnl_attr_put_strz(request.header(), IPSET_ATTR_SETNAME, std::string(name).c_str());
    if (!entries) mnl_attr_put_u32(request.header(), IPSET_ATTR_FLAGS, htonl(IPSET_FLAG_LIST_HEADER));
    std::optional<SetHeader> found;
    SetListing listing([&](const SetHeader& header) { found = header; }, take);
    bool good = true;
    const NetlinkAnswer answer = socket_.ask(
        request.bytes(), [&](const nlmsghdr* message) { good = good && listing.message(payload(message)); });
    if (answer.error == ENOENT) return fail(ErrorCode::missing, fmt::format("there is no ipset '{}'", name));
    if (answer.error) return fail_answer(answer, fmt::format("cannot read the ipset '{}'", name));
    if (!good) return tl::unexpected(not_understood(name));
    if (!found) return fail(ErrorCode::missing, fmt::format("there is no ipset '{}'", name));
    if (entries && found->kind == SetKind::other)
        return fail(
            ErrorCode::unsupported,
            fmt::format("the ipset '{}' is of type {}, whose entries cannot be read here; use hash:ip, "
                        "hash:net, hash:ip,port, hash:net,port, hash:net,iface, hash:ip,mark or list:set",
                        name, found->type));
    return *found;
}

Result<SetHeader> SetReader::header(std::string_view name) {
    return list(name, false, {});
}

Result<SetHeader> SetReader::read(std::string_view name, const Take& take) {
    return list(name, true, take);
}

}  // namespace synward
