// SPDX-License-Identifier: GPL-2.0-or-later
// Listings of ipsets: any bytes, as several messages of one listing. What is taken of
// them is well-formed, and can be looked up. And any bytes as a record of set events.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include "lib/sets/contents.h"
#include "lib/sets/message.h"
#include "lib/sets/set_event.h"

namespace {

void require(bool promise) {
    if (!promise) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace synward;
    std::optional<SetHeader> header;
    std::optional<SetBuilder> builder;
    std::optional<Prefix> last;
    SetListing listing(
        [&](const SetHeader& h) {
            require(!h.name.empty() && h.name.size() < 32);
            require(h.netmask <= 128);
            header = h;
            builder.emplace(h);
            last.reset();
        },
        [&](const SetEntry& e) {
            require(header && header->kind != SetKind::other);
            if (header->kind == SetKind::list) return require(!e.member.empty());
            require(e.prefix.address.family == header->family);
            require(e.prefix.length <= e.prefix.address.bits());
            require(e.prefix.contains(e.prefix.address));
            require(Prefix::parse(e.prefix.to_string()) == e.prefix);
            builder->add(e);
            last = e.prefix;
        });
    // A length, and so much of what follows: as datagrams come.
    bool good = true;
    std::size_t at = 0;
    while (good && at + 2 <= size) {
        std::size_t length = data[at] | data[at + 1] << 8;
        at += 2;
        length = std::min(length, size - at);
        const std::vector<std::uint8_t> message(data + at, data + at + length);
        good = listing.message(message);
        at += length;
    }
    if (builder) {
        const auto set = std::move(*builder).finish();
        if (last) {
            SetQuery query{.source = last->address, .interface = "eth0"};
            (void)set->find(query);
            const SetIndex index({set});
            const std::vector<std::string> receivers{"eth0"};
            for (const auto& entries : {std::optional(index.at_driver(Fates(), receivers)),
                                        index.at_driver_by_port(Fates(), receivers)})
                for (std::size_t i = 0; entries && i < entries->size(); i++) {
                    require((*entries)[i].fate != SW_FATE_NONE);
                    if (i) require((*entries)[i - 1].place() < (*entries)[i].place());
                }
        }
    }
    const std::vector<std::uint8_t> record(data, data + size);
    if (const auto event = decode_set_event(record))
        require(event->name.size() <= 32 && event->other.size() <= 32 && event->entry.size() <= 512);
    // And as the attributes of an entry that an event tells of.
    for (const SetKind kind : {SetKind::ip, SetKind::net, SetKind::ip_port, SetKind::net_port}) {
        for (const sw_family family : {SW_IPV4, SW_IPV6}) {
            SetHeader of;
            of.kind = kind;
            of.family = family;
            const auto entry = read_told_entry(of, record);
            if (!entry) continue;
            require(entry->prefix.address.family == family && entry->prefix.length > 0);
            require(Prefix::parse(entry->prefix.to_string()) == entry->prefix);
            std::vector<Prefix> changed;
            const auto set = SetBuilder(of).finish()->with(std::vector<SetChange>{{*entry, false}}, changed);
            require(set && set->size() == 1 && changed == std::vector{entry->prefix});
        }
    }
    return 0;
}
