"""What a person may see. Authorisation is the fetch: a view cannot hold an object that its person may not touch."""

from django.db.models import QuerySet

from autossl_panel.people.models import User

from .models import HostingUser, VirtualHost


def users(person: User) -> QuerySet[HostingUser]:
    """The hosting users that `person` may see: root all, a reseller own ones, a hosting user's login itself."""
    if person.is_root:
        return HostingUser.objects.all()
    if person.is_reseller:
        return HostingUser.objects.filter(owner=person)
    return HostingUser.objects.filter(login=person)


def virtual_hosts(person: User) -> QuerySet[VirtualHost]:
    """The virtual hosts of `users(person)`."""
    if person.is_root:
        return VirtualHost.objects.all()
    if person.is_reseller:
        return VirtualHost.objects.filter(user__owner=person)
    return VirtualHost.objects.filter(user__login=person)
