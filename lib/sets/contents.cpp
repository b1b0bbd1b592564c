// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/sets/contents.h"

#include <fmt/format.h>

#include <algorithm>
#include <bitset>
#include <tuple>

namespace synward {

template <>
Key4 address_key(const Address& address) {
    Key4 key = 0;
    for (unsigned i = 0; i < 4; i++) key = key << 8 | address.bytes[i];
    return key;
}

template <>
Key6 address_key(const Address& address) {
    Key6 key;
    for (unsigned i = 0; i < 8; i++) {
        key.high = key.high << 8 | address.bytes[i];
        key.low = key.low << 8 | address.bytes[i + 8];
    }
    return key;
}

template <>
Address key_address(Key4 key) {
    Address address;
    for (unsigned i = 0; i < 4; i++) address.bytes[i] = static_cast<std::uint8_t>(key >> (24 - 8 * i));
    return address;
}

template <>
Address key_address(Key6 key) {
    Address address;
    address.family = SW_IPV6;
    for (unsigned i = 0; i < 8; i++) {
        address.bytes[i] = static_cast<std::uint8_t>(key.high >> (56 - 8 * i));
        address.bytes[i + 8] = static_cast<std::uint8_t>(key.low >> (56 - 8 * i));
    }
    return address;
}

template <>
const std::vector<SetContents::Entry<Key4>>& SetContents::entries() const {
    return entries4_;
}

template <>
const std::vector<SetContents::Entry<Key6>>& SetContents::entries() const {
    return entries6_;
}

std::size_t SetContents::memory() const {
    std::size_t bytes = sizeof *this + entries4_.capacity() * sizeof entries4_[0] +
                        entries6_.capacity() * sizeof entries6_[0];
    for (const auto& member : members_) bytes += member->memory();
    return bytes;
}

// As mtype_test_cidrs() of the kernel's ip_set_hash_gen.h: the longest prefixes first.
template <typename Key>
SetContents::Found SetContents::find_in(const SetQuery& query) const {
    const auto& all = entries<Key>();
    const auto found = [](const Entry<Key>& entry) -> Found {
        if (entry.nomatch) return {};
        return {entry.mute ? Answer::mute : Answer::mark, entry.mark};
    };
    const Key address = address_key<Key>(query.source);
    std::uint32_t extra = 0;
    if (header_.kind == SetKind::ip_port || header_.kind == SetKind::net_port)
        extra = port_extra(query.protocol, query.port);
    if (header_.kind == SetKind::ip_mark) extra = query.packet_mark & header_.packet_mark_mask;
    for (const unsigned length : lengths_) {
        const Key key = key_prefix(address, length);
        const auto wanted = static_cast<std::uint8_t>(length);
        auto at = std::lower_bound(all.begin(), all.end(), std::tie(key, wanted, extra),
                                   [](const auto& e, const auto& place) { return e.place() < place; });
        if (header_.kind != SetKind::net_iface) {
            if (at == all.end() || at->place() != std::tie(key, wanted, extra)) continue;
            return found(*at);
        }
        // A network that is there for other interfaces only ends the search too.
        bool there = false;
        const Entry<Key>* best = nullptr;
        for (; at != all.end() && at->key == key && at->length == length; ++at) {
            there = true;
            const Interface& interface = interfaces_[at->extra];
            if (interface.matches(query.interface) && (!best || !interface.wildcard)) best = &*at;
        }
        if (best) return found(*best);
        if (there) return {};
    }
    return {};
}

SetContents::Found SetContents::find(const SetQuery& query) const {
    for (const auto& member : members_)
        if (const Found found = member->find(query); found.answer != Answer::none) return found;
    if (header_.family != query.source.family) return {};
    return query.source.family == SW_IPV4 ? find_in<Key4>(query) : find_in<Key6>(query);
}

// Those of the longest network that is there, which ends the search for all of them.
template <typename Key>
void SetContents::name_interfaces_in(const Address& source, std::vector<std::string>& names) const {
    const auto& all = entries<Key>();
    for (const unsigned length : lengths_) {
        const Key key = key_prefix(address_key<Key>(source), length);
        const auto wanted = static_cast<std::uint8_t>(length);
        auto at = std::lower_bound(
            all.begin(), all.end(), std::tie(key, wanted),
            [](const auto& e, const auto& place) { return std::tie(e.key, e.length) < place; });
        if (at == all.end() || at->key != key || at->length != length) continue;
        for (; at != all.end() && at->key == key && at->length == length; ++at) {
            const Interface& interface = interfaces_[at->extra];
            // A name that only the wildcard fits: no interface has a slash in it.
            if (!interface.bridge_port) names.push_back(interface.name + (interface.wildcard ? "/" : ""));
        }
        return;
    }
}

void SetContents::name_interfaces(const Address& source, std::vector<std::string>& names) const {
    for (const auto& member : members_) member->name_interfaces(source, names);
    if (header_.kind != SetKind::net_iface || header_.family != source.family) return;
    if (source.family == SW_IPV4)
        name_interfaces_in<Key4>(source, names);
    else
        name_interfaces_in<Key6>(source, names);
}

namespace {

class Differences {
  public:
    Differences(std::vector<Prefix>& changed, std::size_t limit) : changed_(changed), limit_(limit) {}
    template <typename Key>
    void add(const SetContents::Entry<Key>& entry) {
        count_++;
        if (changed_.size() < limit_) changed_.push_back({key_address(entry.key), entry.length});
    }
    [[nodiscard]] std::size_t count() const { return count_; }

  private:
    std::vector<Prefix>& changed_;
    std::size_t limit_;
    std::size_t count_ = 0;
};

template <typename Key>
void compare(const SetContents& a, const SetContents& b, Differences& differences) {
    const auto& left = a.entries<Key>();
    const auto& right = b.entries<Key>();
    auto l = left.begin();
    auto r = right.begin();
    while (l != left.end() || r != right.end()) {
        if (r == right.end() || (l != left.end() && l->place() < r->place())) {
            differences.add(*l++);
        } else if (l == left.end() || r->place() < l->place()) {
            differences.add(*r++);
        } else {
            if (*l != *r) differences.add(*l);
            ++l, ++r;
        }
    }
}

template <typename Key>
void all_of(const SetContents& set, Differences& differences) {
    for (const auto& entry : set.entries<Key>()) differences.add(entry);
    for (const auto& member : set.members()) all_of<Key>(*member, differences);
}

}  // namespace

std::size_t SetContents::difference(const SetContents& a, const SetContents& b, std::vector<Prefix>& changed,
                                    std::size_t limit) {
    if (&a == &b) return 0;
    Differences differences(changed, limit);
    const bool same = a.header_.kind == b.header_.kind && a.interfaces_ == b.interfaces_ &&
                      a.header_.packet_mark_mask == b.header_.packet_mark_mask;
    if (same && a.members_.empty() && b.members_.empty()) {
        compare<Key4>(a, b, differences);
        compare<Key6>(a, b, differences);
        return differences.count();
    }
    const auto name = [](const auto& member) -> const std::string& { return member->header().name; };
    if (same && std::ranges::equal(a.members_, b.members_, {}, name, name)) {
        std::size_t count = 0;
        for (std::size_t i = 0; i < a.members_.size(); i++)
            count += difference(*a.members_[i], *b.members_[i], changed, limit);
        return count;
    }
    for (const SetContents* set : {&a, &b}) {
        all_of<Key4>(*set, differences);
        all_of<Key6>(*set, differences);
    }
    return differences.count();
}

template <typename Key>
SetContents::Entry<Key> SetContents::make_entry(const SetEntry& entry, std::uint32_t extra) {
    const auto mark = static_cast<std::uint8_t>(entry.mark & entry.mask & SW_MARK_CLASS_MASK);
    const bool mute = !(entry.mask & SW_MARK_CLASS_MASK);
    return {address_key<Key>(entry.prefix.address),
            extra,
            static_cast<std::uint8_t>(entry.prefix.length),
            mark,
            entry.nomatch,
            mute};
}
template SetContents::Entry<Key4> SetContents::make_entry(const SetEntry&, std::uint32_t);
template SetContents::Entry<Key6> SetContents::make_entry(const SetEntry&, std::uint32_t);

SetBuilder::SetBuilder(SetHeader header) : set_(std::make_unique<SetContents>()) {
    set_->header_ = std::move(header);
    // The kernel's count, which a wrong one must not make us believe.
    const std::size_t expected = std::min<std::size_t>(set_->header_.elements, 1 << 24);
    if (set_->header_.kind == SetKind::list || set_->header_.kind == SetKind::other) return;
    if (set_->header_.family == SW_IPV6)
        set_->entries6_.reserve(expected);
    else
        set_->entries4_.reserve(expected);
}

std::uint32_t SetBuilder::interface(const SetEntry& entry) {
    auto& known = set_->interfaces_;
    for (std::size_t i = known.size(); i-- > 0;)
        if (known[i].name == entry.interface && known[i].wildcard == entry.wildcard &&
            known[i].bridge_port == entry.bridge_port)
            return static_cast<std::uint32_t>(i);
    known.push_back({std::string(entry.interface), entry.wildcard, entry.bridge_port});
    return static_cast<std::uint32_t>(known.size() - 1);
}

void SetBuilder::add(const SetEntry& entry) {
    std::uint32_t extra = 0;
    switch (set_->header_.kind) {
        case SetKind::ip_port:
        case SetKind::net_port:
            extra = port_extra(entry.protocol, entry.port);
            break;
        case SetKind::net_iface:
            extra = interface(entry);
            break;
        case SetKind::ip_mark:
            extra = entry.packet_mark;
            break;
        case SetKind::list:
        case SetKind::other:
            return;
        default:
            break;
    }
    if (entry.prefix.address.family == SW_IPV4)
        set_->entries4_.push_back(SetContents::make_entry<Key4>(entry, extra));
    else
        set_->entries6_.push_back(SetContents::make_entry<Key6>(entry, extra));
}

void SetBuilder::add_member(std::shared_ptr<const SetContents> member) {
    set_->members_.push_back(std::move(member));
}

std::shared_ptr<const SetContents> SetBuilder::finish() && {
    std::bitset<129> lengths;
    const auto tidy = [&](auto& entries) {
        const auto before = [](const auto& a, const auto& b) { return a.place() < b.place(); };
        std::sort(entries.begin(), entries.end(), before);
        // A set that changed while it was read may have shown an entry twice.
        entries.erase(std::unique(entries.begin(), entries.end(),
                                  [](const auto& a, const auto& b) { return a.place() == b.place(); }),
                      entries.end());
        for (const auto& entry : entries) {
            lengths.set(entry.length);
            if (!entry.nomatch) set_->marks_[entry.mark]++;
        }
    };
    tidy(set_->entries4_);
    tidy(set_->entries6_);
    for (unsigned length = 129; length-- > 0;)
        if (lengths[length]) set_->lengths_.push_back(length);
    for (const auto& member : set_->members_)
        for (unsigned mark = 0; mark < 256; mark++) set_->marks_[mark] += member->marks_[mark];
    return std::move(set_);
}

std::vector<std::shared_ptr<const SetContents>> sets_of(const SourcesConfig& sources) {
    std::vector<std::shared_ptr<const SetContents>> sets;
    for (const sw_family family : {SW_IPV4, SW_IPV6}) {
        SetHeader header;
        header.name = "[sources]";
        header.kind = SetKind::net;
        header.family = family;
        header.skbinfo = true;
        SetBuilder builder(std::move(header));
        const auto add = [&](const std::vector<Prefix>& prefixes, std::uint32_t mark) {
            for (const Prefix& prefix : prefixes) {
                if (prefix.address.family != family) continue;
                SetEntry entry;
                entry.prefix = prefix;
                entry.mark = mark;
                entry.mask = SW_MARK_CLASS_MASK;
                builder.add(entry);
            }
        };
        add(sources.deny, SW_MARK_DENY);
        add(sources.allow, SW_MARK_ALLOW);
        auto set = std::move(builder).finish();
        if (set->size()) sets.push_back(std::move(set));
    }
    return sets;
}

std::string unfit(const SetHeader& header) {
    if (header.kind == SetKind::other)
        return fmt::format(
            "the ipset '{}' is of type {}, which carries no verdicts; use hash:ip, hash:net, "
            "hash:ip,port, hash:net,port, hash:net,iface, hash:ip,mark or list:set",
            header.name, header.type);
    if (header.bitmask)
        return fmt::format("the ipset '{}' has a bitmask that is no netmask; create it with netmask instead",
                           header.name);
    // Of a list, its members have the marks; its own would be looked at instead.
    if (header.kind == SetKind::list && header.skbinfo)
        return fmt::format(
            "the list '{}' was made with skbinfo, which hides the marks of its members; create it without: "
            "ipset create {} list:set",
            header.name, header.name);
    if (header.kind != SetKind::list && !header.skbinfo)
        return fmt::format(
            "the entries of the ipset '{0}' have no room for marks; create it with skbinfo: ipset create {0} "
            "{1}{2} skbinfo (where it is in use, under another name, and then ipset swap)",
            header.name, header.type, header.family == SW_IPV6 ? " family inet6" : "");
    return {};
}

Result<std::shared_ptr<const SetContents>> read_set(SetReader& reader, const std::string& name) {
    auto header = reader.header(name);
    if (!header) return tl::unexpected(header.error());
    if (const std::string problem = unfit(*header); !problem.empty())
        return fail(ErrorCode::unsupported, problem);
    std::vector<std::string> members;
    SetBuilder builder(std::move(*header));
    const auto read = reader.read(name, [&](const SetEntry& entry) {
        if (entry.member.empty())
            builder.add(entry);
        else
            members.emplace_back(entry.member);
    });
    if (!read) return tl::unexpected(read.error());
    // A list cannot be in a list, so this ends.
    for (const std::string& member : members) {
        auto contents = read_set(reader, member);
        if (!contents) return tl::unexpected(contents.error());
        builder.add_member(std::move(*contents));
    }
    return std::move(builder).finish();
}

}  // namespace synward
