// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft_counter.h"

#include <arpa/inet.h>
#include <endian.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <array>
#include <cstring>
#include <stdexcept>

#include "lib/netlink.h"

namespace synward::bench {
namespace {

int read_counter(const nlattr* attribute, void* data) {
    if (mnl_attr_get_type(attribute) == NFTA_COUNTER_PACKETS)
        *static_cast<uint64_t*>(data) = be64toh(mnl_attr_get_u64(attribute));
    return MNL_CB_OK;
}

int read_object(const nlattr* attribute, void* data) {
    if (mnl_attr_get_type(attribute) == NFTA_OBJ_DATA) mnl_attr_parse_nested(attribute, read_counter, data);
    return MNL_CB_OK;
}

}  // namespace

uint64_t read_nft_counter(uint8_t family, const std::string& table, const std::string& name) {
    auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
    if (!socket) throw std::runtime_error(socket.error().message);
    alignas(nlmsghdr) std::array<char, 256> buffer{};
    nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETOBJ;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    auto* generic = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(nfgenmsg)));
    generic->nfgen_family = family;
    mnl_attr_put_strz(request, NFTA_OBJ_TABLE, table.c_str());
    mnl_attr_put_strz(request, NFTA_OBJ_NAME, name.c_str());
    mnl_attr_put_u32(request, NFTA_OBJ_TYPE, htonl(NFT_OBJECT_COUNTER));
    uint64_t packets = 0;
    const auto answer = socket->ask({buffer.data(), request->nlmsg_len}, [&](const nlmsghdr* message) {
        mnl_attr_parse(message, sizeof(nfgenmsg), read_object, &packets);
    });
    if (answer.error != 0)
        throw std::runtime_error(
            fmt::format("cannot read the counter {} of nft: {}", name, strerror(answer.error)));
    return packets;
}

}  // namespace synward::bench
